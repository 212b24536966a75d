#include "model/message.h"

namespace wirespan {

void reset(Message& m) {
  m.kind = {};
  m.conn.reset();
  m.direction = {};
  m.protocol = {};
  m.stream = 0;
  m.position = 0;
  m.first_byte = {};
  m.last_byte = {};
  m.attributes.clear();
  m.carried.clear();
  m.name.clear();
  m.error_type.clear();
  m.client_error = false;
  m.server_error = false;
  m.expects_response = true;
  m.interim = false;
  m.unasked = false;
  m.incomplete = {};
  m.rare_values.clear();
}

}  // namespace wirespan
