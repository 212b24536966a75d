// wirespan explain TRACE_OR_SPAN --from FILE: why each link is what it is.
#include "correlator/explain.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agent/commands/commands.h"
#include "base/result.h"

namespace wirespan::commands {
namespace {

using Json = nlohmann::json;

struct Row {
  std::string trace, id, parent, name, service, method, missing;
  std::uint64_t start = 0, end = 0;
  double confidence = 1;
  std::int64_t candidates = 0;
  bool server = false;
  std::string incomplete;
  bool synthetic = false;
  std::int64_t lost = 0;
  std::int64_t untraced = 0;
  struct Alternative {
    std::string trace, id, method;
    double confidence = 0;
  };
  std::vector<Alternative> alternatives;
};

template <class Visit>
void attributes(const Json& holder, Visit visit) {
  for (const Json& pair : holder.value("attributes", Json::array()))
    visit(pair.value("key", ""), pair.value("value", Json()));
}
std::string text_of(const Json& value) {
  return value.value("stringValue", "");
}
double number_of(const Json& value) {
  if (value.contains("doubleValue")) return value["doubleValue"].get<double>();
  if (!value.contains("intValue")) return 0;
  const Json& number = value["intValue"];
  return number.is_string() ? std::stod(number.get<std::string>()) : number.get<double>();
}

Row read_span(const Json& span, const std::string& service) {
  Row row;
  row.trace = span.value("traceId", "");
  row.id = span.value("spanId", "");
  row.parent = span.value("parentSpanId", "");
  row.name = span.value("name", "");
  row.service = service;
  row.start = std::stoull(span.value("startTimeUnixNano", "0"));
  row.end = std::stoull(span.value("endTimeUnixNano", "0"));
  row.server = span.value("kind", 0) == 2;
  attributes(span, [&](const std::string& key, const Json& value) {
    if (key == "wirespan.link.method") row.method = text_of(value);
    if (key == "wirespan.link.confidence") row.confidence = number_of(value);
    if (key == "wirespan.link.missing") row.missing = text_of(value);
    if (key == "wirespan.link.candidates") row.candidates = static_cast<std::int64_t>(number_of(value));
    if (key == "wirespan.incomplete") row.incomplete = text_of(value);
    if (key == "wirespan.synthetic") row.synthetic = true;
    if (key == "wirespan.trace.lost") row.lost = static_cast<std::int64_t>(number_of(value));
    if (key == "wirespan.trace.untraced") row.untraced = static_cast<std::int64_t>(number_of(value));
  });
  for (const Json& link : span.value("links", Json::array())) {
    Row::Alternative alternative{link.value("traceId", ""), link.value("spanId", ""), "", 0};
    attributes(link, [&](const std::string& key, const Json& value) {
      if (key == "wirespan.link.method") alternative.method = text_of(value);
      if (key == "wirespan.link.confidence") alternative.confidence = number_of(value);
    });
    row.alternatives.push_back(std::move(alternative));
  }
  return row;
}

Result<std::vector<Row>> read_file(const std::string& path) {
  std::ifstream in(path);
  if (!in) return errno_error("open " + path);
  std::vector<Row> rows;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    try {
      const Json batch = Json::parse(line);
      for (const Json& group : batch.value("resourceSpans", Json::array())) {
        std::string service;
        attributes(group.value("resource", Json::object()), [&](const std::string& key, const Json& value) {
          if (key == "service.name") service = text_of(value);
        });
        for (const Json& scope : group.value("scopeSpans", Json::array())) {
          for (const Json& span : scope.value("spans", Json::array())) rows.push_back(read_span(span, service));
        }
      }
    } catch (const std::exception& error) {
      return Error{path + ":" + std::to_string(number) + ": not OTLP/JSON (" + error.what() + ")", 0,
                   "Give a file written by `wirespan trace --json` or the Collector's file exporter."};
    }
  }
  return rows;
}

std::string percent(double share) {
  const int tenths = static_cast<int>(share * 1000 + 0.5);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

void explain(const Row& row, std::size_t depth, const std::map<std::string, const Row*>& by_id, std::ostream& out) {
  const std::string indent(2 * depth, ' ');
  out << indent << row.service << "  " << (row.server ? "SERVER " : "CLIENT ") << row.name << "  span " << row.id
      << "\n";
  const std::string more = indent + "    ";
  if (!row.parent.empty()) {
    out << more << "linked because " << explain_method(row.method) << " (" << row.method << ", "
        << percent(row.confidence) << ")";
    if (!by_id.contains(row.parent)) out << "; the parent " << row.parent << " was not seen by this agent";
    out << "\n";
  } else if (!row.missing.empty()) {
    out << more << "no parent because " << explain_missing(row.missing) << " (" << row.candidates << " open)\n";
  } else {
    out << more << "no parent: nothing that was traced caused it; the trace begins here\n";
  }
  for (const auto& other : row.alternatives) {
    out << more << "candidate: span " << other.id << " of trace " << other.trace;
    if (!other.method.empty()) out << ", " << percent(other.confidence) << ": " << explain_method(other.method);
    out << "\n";
  }
  if (!row.incomplete.empty()) out << more << "not all of it was seen: " << row.incomplete << "\n";
  if (row.synthetic) out << more << "made up: the other end of this exchange was seen, this one was not\n";
  if (row.lost > 0) {
    out << more << row.lost << " spans of this trace are missing: of an exchange between two traced processes only one "
        << "end was seen\n";
  }
  if (row.untraced > 0) out << more << row.untraced << " calls below go to processes that are not traced here\n";
}

}  // namespace

int explain_command(const std::string& wanted, const std::string& file, std::ostream& out, std::ostream& err) {
  const auto rows = read_file(file);
  if (!rows) {
    err << "wirespan explain: " << rows.error().text() << "\n";
    return 1;
  }
  std::string trace;
  for (const Row& row : *rows) {
    if (row.trace == wanted || row.id == wanted) trace = row.trace;
  }
  if (trace.empty()) {
    err << "wirespan explain: no trace or span " << wanted << " in " << file << "\n";
    return 1;
  }
  std::map<std::string, const Row*> by_id;
  std::multimap<std::string, const Row*> children;
  for (const Row& row : *rows) {
    if (row.trace == trace) by_id.emplace(row.id, &row);
  }
  for (const auto& [id, row] : by_id) children.emplace(by_id.contains(row->parent) ? row->parent : "", row);
  out << "trace " << trace << "\n";
  // An own stack: a trace may be deeper than ours.
  std::vector<std::pair<const Row*, std::size_t>> stack;
  const auto push = [&](const std::string& parent, std::size_t depth) {
    std::vector<const Row*> below;
    for (auto [it, end] = children.equal_range(parent); it != end; ++it) below.push_back(it->second);
    std::sort(below.begin(), below.end(), [](const Row* a, const Row* b) { return a->start > b->start; });
    for (const Row* row : below) stack.emplace_back(row, depth);
  };
  push("", 0);
  while (!stack.empty()) {
    const auto [row, depth] = stack.back();
    stack.pop_back();
    if (by_id.contains(wanted) ? row->id == wanted : true)
      explain(*row, by_id.contains(wanted) ? 0 : depth, by_id, out);
    push(row->id, depth + 1);
  }
  return 0;
}

}  // namespace wirespan::commands
