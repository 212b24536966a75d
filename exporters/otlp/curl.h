// libcurl, loaded when something is sent or asked: with what it brings along for TLS and log-ins it is 5 MB, which an
// agent that writes to a file, or waits for its first target, need not hold.
#pragma once

#include <curl/curl.h>

#include <memory>

#include "base/result.h"

namespace wirespan {

// Its functions by their names there, less `curl_`.
struct Curl {
  // The one of this process, initialised; any thread. Error: it is not installed.
  [[nodiscard]] static Result<const Curl*> load();

  decltype(&::curl_version_info) version_info;
  decltype(&::curl_getdate) getdate;
  decltype(&::curl_free) free;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_perform) easy_perform;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
  decltype(&::curl_multi_perform) multi_perform;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_multi_poll) multi_poll;
  decltype(&::curl_multi_wakeup) multi_wakeup;
  decltype(&::curl_url) url;
  decltype(&::curl_url_cleanup) url_cleanup;
  decltype(&::curl_url_set) url_set;
  decltype(&::curl_url_get) url_get;
};

// A URL in parts (CURLUPART_*), as libcurl reads it.
class CurlUrl {
 public:
  // `flags`: CURLU_*.
  CurlUrl(const Curl& curl, const char* text, unsigned flags) : curl_(curl), handle_(curl.url(), curl.url_cleanup) {
    valid_ = handle_ && curl.url_set(handle_.get(), CURLUPART_URL, text, flags) == CURLUE_OK;
  }
  [[nodiscard]] bool valid() const { return valid_; }
  // Empty: there is none.
  [[nodiscard]] std::string get(CURLUPart part) const {
    char* text = nullptr;
    if (curl_.url_get(handle_.get(), part, &text, 0) != CURLUE_OK) return {};
    const std::unique_ptr<char, decltype(curl_.free)> owned(text, curl_.free);
    return text;
  }
  void set(CURLUPart part, const std::string& value) { curl_.url_set(handle_.get(), part, value.c_str(), 0); }

 private:
  const Curl& curl_;
  std::unique_ptr<CURLU, decltype(Curl::url_cleanup)> handle_;
  bool valid_ = false;
};

}  // namespace wirespan
