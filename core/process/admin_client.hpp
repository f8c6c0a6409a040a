// HTTP to a running proxy over its Unix socket (docs/admin-api.md). Blocking; one thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace hyperdrive::core {

struct AdminResponse {
  long status = 0;  ///< HTTP status
  std::string body;
};

class AdminClient {
 public:
  explicit AdminClient(std::string socket_path,
                       std::chrono::milliseconds timeout = std::chrono::seconds(10));
  AdminClient(AdminClient&&) noexcept;
  AdminClient& operator=(AdminClient&&) noexcept;
  ~AdminClient();

  /// Any HTTP status is a response; only a transport failure is an error (nobody listens, timeout).
  Result<AdminResponse> get(const std::string& path);
  Result<AdminResponse> post(const std::string& path, std::string_view json = {});

  /// Body of a 2xx answer; any other status becomes an Error from the answer's `error` object.
  Result<std::string> get_body(const std::string& path);
  Result<std::string> post_body(const std::string& path, std::string_view json = {});
  /// As `post_body`, for bodies with secrets (POST /v1/reload); nothing of it is kept.
  Result<std::string> post_body(const std::string& path, const Secret& json);

  /// GET /v1/events: calls `line` for each line until it returns false, the proxy ends (not an
  /// error), or `idle` (called at least every 200 ms) returns false. `open`, which may be empty, is
  /// called once when the proxy has answered: whatever happens from then on is told.
  Result<void> stream(const std::string& path, const std::function<bool(std::string_view)>& line,
                      const std::function<bool()>& idle, std::function<void()> open = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hyperdrive::core
