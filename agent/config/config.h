// What the user decides, as plain data: no other part of wirespan is known here, main hands each its share.
// One table (schema.cc) names every key once: reading, printing, comparing and docs/configuration.md come from it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace wirespan {

using Texts = std::vector<std::string>;
using TextMap = std::map<std::string, std::string>;
using FlagMap = std::map<std::string, bool>;
using Milliseconds = std::chrono::milliseconds;

struct Config {
  // Which processes: any that matches, children included.
  struct Selectors {
    bool all = false;
    std::vector<std::int64_t> pids;
    Texts cgroups;  // directories below /sys/fs/cgroup
    Texts exe;      // globs
    std::vector<std::int64_t> ports;
  } selectors;

  struct Capture {
    std::int64_t bytes = 1024;
    std::int64_t ring_size = 4 << 20;
    std::int64_t max_connections = 131'072;
    std::string plan = "auto";
  } capture;

  struct Http {
    Texts request_headers;     // lower case
    Texts response_headers;    // lower case
    Texts request_id_headers;  // lower case
    std::string query = "redact";
    Texts query_keep;
    Texts known_methods;
  } http;

  struct Redaction {
    bool enabled = true;
    bool emails = true;
    bool cards = true;
    bool tokens = true;
    Texts attributes;
    Texts forced_headers;  // lower case
  } redaction;

  struct Link {
    double threshold = 0.8;
    Milliseconds window{2'000};
    Milliseconds linger{100};
    FlagMap evidence;  // by name; those not in it are on
  } link;

  struct Service {
    std::string name;
  } service;
  TextMap resource;

  struct Export {
    Texts to;  // "otlp", "console", "file"; empty: see default_exporters()
    struct Otlp {
      std::string endpoint;         // a base: gets /v1/traces for HTTP
      std::string traces_endpoint;  // used as it is
      std::string protocol = "http/protobuf";
      TextMap headers;
      std::string compression = "none";
      Milliseconds timeout{10'000};
      bool insecure = false;
      std::string certificate;
      std::string client_certificate;
      std::string client_key;
      std::int64_t backlog = 4 << 20;
    } otlp;
    struct File {
      std::string path;
    } file;
    struct Console {
      std::string form = "tree";
    } console;
    struct Queue {
      std::int64_t max_spans = 65'536;
      std::int64_t max_bytes = 8 << 20;
      std::int64_t batch_spans = 1024;
      std::int64_t batch_bytes = 2 << 20;
      Milliseconds batch_age{200};
    } queue;
    struct Flush {
      Milliseconds longest{20'000};
      Milliseconds silence{5'000};
    } flush;
  } exporting;

  struct Governor {
    std::string mode = "auto";
    double cpu = 0.02;
    std::int64_t memory = 50 << 20;
    std::int64_t network = 5 << 20;
    Milliseconds period{10'000};
  } governor;

  struct Health {
    std::string listen;
  } health;

  struct Self {
    bool disabled = false;
    Milliseconds stats_interval{0};
    std::string sandbox = "on";
  } self;
  struct Log {
    std::string level = "info";
  } log;
};

}  // namespace wirespan
