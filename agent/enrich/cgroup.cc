#include "agent/enrich/cgroup.h"

#include <algorithm>
#include <array>
#include <optional>

namespace wirespan {
namespace {

bool hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool container_id(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), hex);
}

bool remove_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// systemd writes '-' as \x2d and so on (systemd.unit(5), "String Escaping").
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    if (text.substr(i, 2) == "\\x" && i + 3 < text.size() && hex(text[i + 2]) && hex(text[i + 3])) {
      out.push_back(static_cast<char>(digit(text[i + 2]) * 16 + digit(text[i + 3])));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// Units that only start what other people wrote: their name says nothing about the process.
bool starts_others(std::string_view unit) {
  static constexpr std::array<std::string_view, 24> kNames = {
      "atd",         "containerd", "cron", "crond",     "crio",       "cri-o",       "docker",         "gitlab-runner",
      "init",        "jenkins",    "k3s",  "k3s-agent", "kubelet",    "nomad",       "podman",         "rke2-agent",
      "rke2-server", "snapd",      "ssh",  "sshd",      "supervisor", "supervisord", "systemd-nspawn", "tmux"};
  const std::string_view base = unit.substr(0, unit.find('@'));
  static constexpr std::array<std::string_view, 5> kTemplates = {"user", "getty", "serial-getty", "console-getty",
                                                                 "container-getty"};
  return std::find(kNames.begin(), kNames.end(), base) != kNames.end() || base.starts_with("actions.runner.") ||
         std::find(kTemplates.begin(), kTemplates.end(), base) != kTemplates.end();
}

// systemd-run gives units it was told no name for "run-r<hex>", "run-u<number>" or "run-p<pid>-i<number>".
bool made_up(std::string_view unit) {
  if (!unit.starts_with("run-") || unit.size() < 6 || std::string_view("rup").find(unit[4]) == std::string_view::npos) {
    return false;
  }
  return std::all_of(unit.begin() + 5, unit.end(), [](char c) { return hex(c) || c == '-' || c == 'i'; });
}

// "docker-<id>.scope", "cri-containerd-<id>", "libpod-payload-<id>", "crio-conmon-...": the id is behind the last dash.
std::optional<std::string_view> id_in(std::string_view part) {
  remove_suffix(part, ".scope");
  if (container_id(part)) return part;
  const auto last = part.find_last_of("-:");
  if (last == std::string_view::npos) return std::nullopt;
  const std::string_view tail = part.substr(last + 1);
  return container_id(tail) ? std::optional(tail) : std::nullopt;
}

// "kubepods-burstable-pod<uid with _>.slice" and "pod<uid>".
std::optional<std::string> pod_in(std::string_view part) {
  remove_suffix(part, ".slice");
  // containerd with the cgroupfs driver below systemd: "kubepods-pod<uid>.slice:cri-containerd:<id>".
  part = part.substr(0, part.find(".slice:"));
  const auto at = part.rfind("pod");
  if (at == std::string_view::npos || part.size() - at - 3 < 32) return std::nullopt;
  std::string uid(part.substr(at + 3));
  std::replace(uid.begin(), uid.end(), '_', '-');
  return std::all_of(uid.begin(), uid.end(), [](char c) { return hex(c) || c == '-'; }) ? std::optional(uid)
                                                                                        : std::nullopt;
}

std::string_view named_container(std::string_view part, std::string_view before) {
  if (part.starts_with("lxc.payload.")) return part.substr(12);
  if (before == "lxc") return part;
  // systemd-nspawn: machine-NAME.scope or systemd-nspawn@NAME.service.
  if (before == "machine.slice") {
    if (part.starts_with("machine-") && remove_suffix(part, ".scope")) return part.substr(8);
    if (part.starts_with("systemd-nspawn@") && remove_suffix(part, ".service")) return part.substr(15);
  }
  return {};
}

}  // namespace

CgroupFacts parse_cgroup(std::string_view path) {
  CgroupFacts facts;
  std::string_view before;
  while (!path.empty()) {
    const auto slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (part.empty()) continue;
    if (const auto name = named_container(part, before); !name.empty()) facts.container_name = unescape(name);
    before = part;
    // podman's conmon watches a container from beside it.
    if (part.find("conmon") == std::string_view::npos) {
      if (const auto id = id_in(part)) {
        facts.container_id = *id;
        // A unit seen so far started the container; one inside it runs the process.
        if (part.find("libpod-payload") == std::string_view::npos) facts.unit.clear();
      }
    }
    if (auto uid = pod_in(part)) facts.pod_uid = std::move(*uid);
    if (remove_suffix(part, ".service") && !part.empty()) {
      facts.unit = starts_others(part) || made_up(part) ? std::string() : unescape(part);
    }
  }
  return facts;
}

}  // namespace wirespan
