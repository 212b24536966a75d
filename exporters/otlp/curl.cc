#include "exporters/otlp/curl.h"

#include "base/late_library.h"

namespace wirespan {
namespace {

[[gnu::section(".note.dlopen"), gnu::used]] alignas(4) constexpr DlopenNote kNote{
    R"([{"feature":"otlp","description":"OTLP over HTTP and gRPC, and wirespan top","priority":"recommended",)"
    R"("soname":["libcurl.so.4","libcurl-gnutls.so.4"]}])"};

Result<const Curl*> load_once() {
  const auto library = LateLibrary::open({"libcurl.so.4", "libcurl-gnutls.so.4"});
  if (!library) return library.error();
  decltype(&::curl_global_init) global_init = nullptr;
  static Curl curl{};
  for (const Status& status : {library->find("curl_global_init", global_init),
                               library->find("curl_version_info", curl.version_info),
                               library->find("curl_getdate", curl.getdate),
                               library->find("curl_free", curl.free),
                               library->find("curl_slist_append", curl.slist_append),
                               library->find("curl_slist_free_all", curl.slist_free_all),
                               library->find("curl_easy_init", curl.easy_init),
                               library->find("curl_easy_cleanup", curl.easy_cleanup),
                               library->find("curl_easy_setopt", curl.easy_setopt),
                               library->find("curl_easy_getinfo", curl.easy_getinfo),
                               library->find("curl_easy_perform", curl.easy_perform),
                               library->find("curl_easy_strerror", curl.easy_strerror),
                               library->find("curl_multi_init", curl.multi_init),
                               library->find("curl_multi_cleanup", curl.multi_cleanup),
                               library->find("curl_multi_add_handle", curl.multi_add_handle),
                               library->find("curl_multi_remove_handle", curl.multi_remove_handle),
                               library->find("curl_multi_perform", curl.multi_perform),
                               library->find("curl_multi_info_read", curl.multi_info_read),
                               library->find("curl_multi_poll", curl.multi_poll),
                               library->find("curl_multi_wakeup", curl.multi_wakeup),
                               library->find("curl_url", curl.url),
                               library->find("curl_url_cleanup", curl.url_cleanup),
                               library->find("curl_url_set", curl.url_set),
                               library->find("curl_url_get", curl.url_get)}) {
    if (!status) return status.error();
  }
  if (const CURLcode code = global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK)
    return Error{std::string("libcurl: ") + curl.easy_strerror(code), 0, {}};
  return &curl;
}

}  // namespace

Result<const Curl*> Curl::load() {
  static const Result<const Curl*> loaded = load_once();
  return loaded;
}

}  // namespace wirespan
