// Cloudflare's REST API for Hyperdrive over the local registry: requests in, answers out, no
// sockets. One thread (the registry's).
//
// Every answer is Cloudflare's envelope {result, success, errors, messages[, result_info]}. No
// answer ever holds a password. Any account id is taken: there is one registry.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace hyperdrive::cli::api {

inline constexpr std::string_view kPrefix = "/client/v4";
inline constexpr std::string_view kAccountId = "00000000000000000000000000000001";

struct Request {
  std::string method;
  std::string target;         ///< path and query as sent
  std::string host;           ///< Host header
  std::string authorization;  ///< Authorization header
  std::string auth_key;       ///< X-Auth-Key header
  std::string body;
};

struct Answer {
  unsigned status = 200;
  nlohmann::ordered_json body;
};

class Service {
 public:
  Service(Context& context, core::Secret token);

  Answer handle(const Request& request);

 private:
  using Json = nlohmann::ordered_json;
  using Segments = std::vector<std::string>;

  bool is_authorised(const Request& request) const;
  Answer route(const Request& request, const Segments& path);
  Answer route_configs(const Request& request, const Segments& path);
  Answer list(const Request& request);
  Answer create(const Request& request);
  Answer get(const std::string& id);
  Answer change(const Request& request, const std::string& id);
  Answer remove(const std::string& id);
  Answer restart(const std::string& id);
  core::Result<core::Config> find(const std::string& id);

  Context& context_;
  core::Secret token_;
};

/// An envelope that reports one error, as the server does for a request it cannot read.
Answer failure(unsigned status, int code, const std::string& message);

}  // namespace hyperdrive::cli::api
