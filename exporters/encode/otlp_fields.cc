#include "exporters/encode/otlp_fields.h"

namespace wirespan {

std::string_view scope_version() {
  return WIRESPAN_VERSION;
}

}  // namespace wirespan
