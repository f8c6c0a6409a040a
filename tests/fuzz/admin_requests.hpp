// What the fuzzer and the deterministic unit test feed to the admin API: the target and body of a
// request, and the headers that decide about access to the port.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/admin/access.hpp"
#include "proxy/admin/api.hpp"
#include "proxy/admin/event_hub.hpp"
#include "unit/proxy_admin/fake_backend.hpp"

namespace hyperdrive::tests::fuzz {

/// The input's lines: method, target, then the body. No such request gets by without the token, and
/// none by the port changes what the proxy is.
inline void admin_request(std::string_view input) {
  static const admin::PortAccess access(9999, core::Secret("t0ken"));
  const auto line = [&input] {
    const std::string_view taken = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(input.size(), taken.size() + 1));
    return taken;
  };
  const std::string method(line()), target(line());
  for (const bool from_socket : {true, false}) {
    FakeBackend backend;
    admin::EventHub hub;
    const auto answer = admin::answer({method, target, std::string(input), from_socket}, backend,
                                      hub.classes(), "");
    if (answer.status < 200 || answer.status > 599) std::abort();
    if (!from_socket && backend.drained) std::abort();
  }
  const bool granted =
      access.check({input, input, input, input}) == admin::Access::kGranted ||
      access.check({"127.0.0.1:9999", "", input, input}) == admin::Access::kGranted;
  if (granted && input.find("t0ken") == std::string_view::npos) std::abort();
}

inline const std::vector<std::string>& admin_seeds() {
  static const std::vector<std::string> seeds = {
      "GET\n/v1/status?a=1&b=%20\nhyperdrive_9999=x; other=1",
      "GET\n/v1/queries?limit=100\nBearer tok",
      "POST\n/v1/explain\n{\"sql\":\"select 1\"}",
      "POST\n/v1/purge\n{\"table\":\"a.b\"}",
      "POST\n/v1/drain\n{\"timeout_ms\":1000}",
      "POST\n/v1/reload\n{}",
      "HEAD\n/metrics\n",
      "GET\n/?token=t0\n127.0.0.1:9999",
  };
  return seeds;
}

}  // namespace hyperdrive::tests::fuzz
