// What the user may decide about messages, for every protocol alike.
#pragma once

#include <string>
#include <vector>

namespace wirespan::protocols {

struct Options {
  // Headers (HTTP fields, gRPC metadata, message headers) copied to attributes. Nothing is by default. Lower case.
  std::vector<std::string> request_headers;
  std::vector<std::string> response_headers;
  // Headers whose value names a request and is handed on from hop to hop, besides the known ones. Lower case.
  std::vector<std::string> request_id_headers;
  // HTTP methods that are themselves in http.request.method; every other is _OTHER. Empty: the conventions' own list.
  // OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS, case-sensitive.
  std::vector<std::string> known_methods;
  // Values in query strings are replaced by REDACTED unless set: they carry tokens and personal data.
  bool query_values = false;
};

}  // namespace wirespan::protocols
