#include "agent/enrich/cgroup.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

const std::string kId = "3f4c9b1e0d2a5f6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d";
const std::string kUid = "8f2d1c3e-5b6a-4c7d-9e8f-0a1b2c3d4e5f";
const std::string kUidUnderscore = "8f2d1c3e_5b6a_4c7d_9e8f_0a1b2c3d4e5f";

struct Case {
  std::string path;
  std::string unit;
  std::string id;
  std::string name = {};
  std::string pod = {};
};

TEST(Cgroup, Paths) {
  const std::vector<Case> cases = {
      {"/", "", ""},
      {"", "", ""},
      {"/system.slice/nginx.service", "nginx", ""},
      {"/system.slice/system-postgresql.slice/postgresql@15-main.service", "postgresql@15-main", ""},
      {"/system.slice/my\\x2dorders.service", "my-orders", ""},
      {"/user.slice/user-1000.slice/session-3.scope", "", ""},
      {"/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope", "",
       ""},
      {"/user.slice/user-1000.slice/user@1000.service/app.slice/billing.service", "billing", ""},
      {"/user.slice/user-1000.slice/user@1000.service", "", ""},
      {"/init.scope", "", ""},
      {"/system.slice/cron.service", "", ""},
      {"/system.slice/ssh.service", "", ""},
      {"/system.slice/system-getty.slice/getty@tty1.service", "", ""},
      {"/system.slice/run-r0123456789abcdef.service", "", ""},
      {"/system.slice/run-u42.service", "", ""},
      {"/system.slice/run-p812-i813.service", "", ""},
      {"/system.slice/runner.service", "runner", ""},
      // Docker with the systemd and the cgroupfs driver.
      {"/system.slice/docker-" + kId + ".scope", "", kId},
      {"/docker/" + kId, "", kId},
      {"/system.slice/docker.service/docker/" + kId, "", kId},
      // A container with systemd inside.
      {"/system.slice/docker-" + kId + ".scope/system.slice/nginx.service", "nginx", kId},
      // Kubernetes with containerd and CRI-O.
      {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kUidUnderscore + ".slice/cri-containerd-" +
           kId + ".scope",
       "", kId, "", kUid},
      {"/kubepods/besteffort/pod" + kUid + "/" + kId, "", kId, "", kUid},
      {"/kubepods.slice/kubepods-pod" + kUidUnderscore + ".slice/crio-" + kId + ".scope", "", kId, "", kUid},
      {"/system.slice/containerd.service/kubepods-burstable-pod" + kUidUnderscore + ".slice:cri-containerd:" + kId, "",
       kId, "", kUid},
      {"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + kUidUnderscore + ".slice/cri-containerd-" + kId +
           ".scope",
       "", kId, "", kUid},
      // podman: rootless, rootful, and split below a unit, whose name then counts.
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope/container", "", kId},
      {"/machine.slice/libpod-" + kId + ".scope", "", kId},
      {"/machine.slice/libpod-conmon-" + kId + ".scope", "", ""},
      {"/system.slice/web.service/libpod-payload-" + kId, "web", kId},
      // ECS, LXC, nspawn.
      {"/ecs/0123456789abcdef0123456789abcdef/" + kId, "", kId},
      {"/lxc.payload.orders/system.slice/app.service", "app", "", "orders"},
      {"/lxc/orders", "", "", "orders"},
      {"/machine.slice/machine-shop\\x2d1.scope/payload", "", "", "shop-1"},
      {"/machine.slice/systemd-nspawn@shop.service/payload", "", "", "shop"},
      // Almost.
      {"/docker/" + kId.substr(1), "", ""},
      {"/somewhere/" + kId.substr(32), "", ""},
      {"/docker/" + kId + "0", "", ""},
      {"/system.slice/.service", "", ""},
      {"//////", "", ""},
      {"/kubepods.slice", "", ""},
  };
  for (const Case& c : cases) {
    const CgroupFacts facts = parse_cgroup(c.path);
    EXPECT_EQ(facts.unit, c.unit) << c.path;
    EXPECT_EQ(facts.container_id, c.id) << c.path;
    EXPECT_EQ(facts.container_name, c.name) << c.path;
    EXPECT_EQ(facts.pod_uid, c.pod) << c.path;
  }
}

}  // namespace
}  // namespace wirespan
