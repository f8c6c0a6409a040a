#include "cli/api/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/live.hpp"
#include "cli/verification.hpp"
#include "core/base/time.hpp"
#include "core/cloudflare/shapes.hpp"
#include "core/config/json.hpp"
#include "core/config/suggest.hpp"
#include "core/config/validate.hpp"
#include "core/process/proxy.hpp"

namespace hyperdrive::cli::api {
namespace {

namespace cloudflare = core::cloudflare;
using Json = nlohmann::ordered_json;

/// Cloudflare's own numbers (shared with every product) for what is no matter of Hyperdrive.
constexpr int kNoRoute = 7003;
constexpr int kNoMethod = 10405;
constexpr int kNoCredentials = 9106;
constexpr int kBadHeaders = 6003;
constexpr int kBadAuthorization = 6111;
constexpr int kAuthentication = 10000;
constexpr int kBadRequest = 1001;
constexpr int kInternal = 1002;
constexpr int kStillRunning = 1003;

constexpr int kPerPage = 20;
constexpr int kMostPerPage = 1000;

Answer success(Json result, unsigned status = 200) {
  return {status,
          {{"result", std::move(result)},
           {"success", true},
           {"errors", Json::array()},
           {"messages", Json::array()}}};
}

Answer failure_of(const core::Error& error) {
  std::string message = error.message;
  if (error.code == core::code::kNameTaken) {
    return failure(400, error.code, "A Hyperdrive config with the given name already exists");
  }
  if (error.code == core::code::kNoSuchConfig) {
    return failure(404, error.code, "Hyperdrive config not found");
  }
  if (!error.hint.empty()) message += " " + error.hint;
  if (error.code != core::code::kNone) return failure(400, error.code, message);
  if (error.exit == core::Exit::kUsage) return failure(400, kBadRequest, message);
  return failure(500, kInternal, message);
}

/// Takes time that depends only on the length of what was sent.
bool same_secret(std::string_view given, std::string_view expected) {
  unsigned different = given.size() == expected.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char c = expected.empty() ? '\0' : expected[i % expected.size()];
    different |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(c);
  }
  return different == 0;
}

/// A browser that was lured to another name of this machine sends that name.
bool is_local_host(std::string_view host) {
  if (host.starts_with('[')) return host.starts_with("[::1]");
  host = host.substr(0, host.find(':'));
  return host == "127.0.0.1" || host == "localhost";
}

std::string decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr ==
            text.data() + i + 3) {
      result += static_cast<char>(byte);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<std::string> segments_of(std::string_view target) {
  std::vector<std::string> segments;
  std::string_view path = target.substr(0, target.find('?'));
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) segments.push_back(decoded(path.substr(0, slash)));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return segments;
}

int query_number(std::string_view target, std::string_view name, int fallback, int most) {
  const std::size_t mark = target.find('?');
  std::string_view query = mark == target.npos ? "" : target.substr(mark + 1);
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (!part.starts_with(name) || part.substr(name.size(), 1) != "=") continue;
    const std::string_view value = part.substr(name.size() + 1);
    int number = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
    if (read.ec == std::errc() && number >= 1) return std::min(number, most);
  }
  return fallback;
}

Json page_info(int page, int per_page, std::size_t count, std::size_t total) {
  const auto pages =
      (total + static_cast<std::size_t>(per_page) - 1) / static_cast<std::size_t>(per_page);
  return {{"page", page},
          {"per_page", per_page},
          {"count", count},
          {"total_count", total},
          {"total_pages", pages}};
}

Answer whole_page(Json items) {
  const std::size_t count = items.size();
  Answer answer = success(std::move(items));
  answer.body["result_info"] = page_info(1, kPerPage, count, count);
  return answer;
}

core::Result<Json> parse_body(const std::string& body) {
  Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return core::usage("The request body is not valid JSON.");
  return json;
}

}  // namespace

Answer failure(unsigned status, int code, const std::string& message) {
  return {status,
          {{"result", nullptr},
           {"success", false},
           {"errors", Json::array({{{"code", code}, {"message", message}}})},
           {"messages", Json::array()}}};
}

Service::Service(Context& context, core::Secret token)
    : context_(context), token_(std::move(token)) {}

bool Service::is_authorised(const Request& request) const {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view header = request.authorization;
  if (header.starts_with(kBearer)) {
    return same_secret(header.substr(kBearer.size()), token_.reveal());
  }
  return !request.auth_key.empty() && same_secret(request.auth_key, token_.reveal());
}

Answer Service::handle(const Request& request) {
  if (!is_local_host(request.host)) {
    return failure(403, kAuthentication, "This server answers to 127.0.0.1 and localhost only");
  }
  if (request.authorization.empty() && request.auth_key.empty()) {
    return failure(400, kNoCredentials,
                   "Missing X-Auth-Key, X-Auth-Email or Authorization headers");
  }
  if (!request.authorization.empty() && !request.authorization.starts_with("Bearer ")) {
    Answer answer = failure(400, kBadHeaders, "Invalid request headers");
    answer.body["errors"][0]["error_chain"] = Json::array(
        {{{"code", kBadAuthorization}, {"message", "Invalid format for Authorization header"}}});
    return answer;
  }
  if (!is_authorised(request)) return failure(403, kAuthentication, "Authentication error");
  if (!request.target.starts_with(kPrefix)) {
    return failure(404, kNoRoute, "No route for that URI: every path begins with /client/v4");
  }
  return route(request, segments_of(std::string_view(request.target).substr(kPrefix.size())));
}

Answer Service::route(const Request& request, const Segments& path) {
  const Json account = {{"id", kAccountId}, {"name", "hyperdrive on this machine"}};
  const Json verified = {{"id", "00000000000000000000000000000002"}, {"status", "active"}};
  const auto is = [&](const Segments& wanted) { return path == wanted; };
  const bool configs = path.size() >= 4 && path.size() <= 6 && path[0] == "accounts" &&
                       path[2] == "hyperdrive" && path[3] == "configs";
  if (configs) return route_configs(request, path);
  if (request.method == "GET") {
    if (is({"user", "tokens", "verify"})) return success(verified);
    if (path.size() == 4 && path[0] == "accounts" && path[2] == "tokens" && path[3] == "verify") {
      return success(verified);
    }
    if (is({"user"})) {
      return success({{"id", "00000000000000000000000000000003"}, {"email", "local@hyperdrive"}});
    }
    if (is({"accounts"})) {
      return whole_page(query_number(request.target, "page", 1, 1000) > 1 ? Json::array()
                                                                          : Json::array({account}));
    }
    if (path.size() == 2 && path[0] == "accounts") return success(account);
    if (is({"memberships"})) {
      const Json membership = {
          {"id", "00000000000000000000000000000004"}, {"status", "accepted"}, {"account", account}};
      return whole_page(query_number(request.target, "page", 1, 1000) > 1
                            ? Json::array()
                            : Json::array({membership}));
    }
  }
  return failure(404, kNoRoute, "No route for that URI");
}

Answer Service::route_configs(const Request& request, const Segments& path) {
  const std::string& method = request.method;
  if (path.size() == 4) {
    if (method == "GET") return list(request);
    if (method == "POST") return create(request);
  } else if (path.size() == 5) {
    if (method == "GET") return get(path[4]);
    if (method == "PUT" || method == "PATCH") return change(request, path[4]);
    if (method == "DELETE") return remove(path[4]);
  } else if (path[5] != "restart") {
    return failure(404, kNoRoute, "No route for that URI");
  } else if (method == "POST") {
    return restart(path[4]);
  }
  return failure(405, kNoMethod, "Method not allowed for this route");
}

core::Result<core::Config> Service::find(const std::string& id) {
  auto registry = context_.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto found = (*registry)->look_up(id);
  if (!found) return tl::unexpected(found.error());
  if (!*found) return core::fail("Hyperdrive config not found", "", core::code::kNoSuchConfig);
  return std::move(**found);
}

Answer Service::list(const Request& request) {
  auto registry = context_.registry();
  if (!registry) return failure_of(registry.error());
  auto configs = (*registry)->list();
  if (!configs) return failure_of(configs.error());
  const int page = query_number(request.target, "page", 1, 1'000'000);
  const int per_page = query_number(request.target, "per_page", kPerPage, kMostPerPage);
  const auto first = static_cast<std::size_t>(page - 1) * static_cast<std::size_t>(per_page);
  Json items = Json::array();
  for (std::size_t i = first;
       i < configs->size() && items.size() < static_cast<std::size_t>(per_page); ++i) {
    items.push_back(core::public_json((*configs)[i]));
  }
  const std::size_t count = items.size();
  Answer answer = success(std::move(items));
  answer.body["result_info"] = page_info(page, per_page, count, configs->size());
  return answer;
}

Answer Service::create(const Request& request) {
  auto registry = context_.registry();
  if (!registry) return failure_of(registry.error());
  const auto body = parse_body(request.body);
  if (!body) return failure_of(body.error());
  core::Config config;
  if (auto read = cloudflare::apply_body(config, *body, cloudflare::Meaning::kCreate); !read) {
    return failure_of(read.error());
  }
  if (auto fine = core::validate(config); !fine) return failure_of(fine.error());
  if (context_.args().on("verify")) {
    if (auto fine = verify_unless_told_not_to(context_, config); !fine) {
      return failure_of(fine.error());
    }
  }
  auto created = (*registry)->create(std::move(config));
  if (!created) return failure_of(created.error());
  return success(core::public_json(*created));
}

Answer Service::get(const std::string& id) {
  auto config = find(id);
  return config ? success(core::public_json(*config)) : failure_of(config.error());
}

/// PUT and PATCH.
Answer Service::change(const Request& request, const std::string& id) {
  auto config = find(id);
  if (!config) return failure_of(config.error());
  const auto body = parse_body(request.body);
  if (!body) return failure_of(body.error());
  const auto meaning =
      request.method == "PUT" ? cloudflare::Meaning::kReplace : cloudflare::Meaning::kPatch;
  auto registry = context_.registry();
  if (!registry) return failure_of(registry.error());
  if (body->is_object() && body->empty()) return success(core::public_json(*config));
  auto stored = (*registry)->update(config->id, [&](core::Config& changed) -> core::Result<void> {
    if (auto read = cloudflare::apply_body(changed, *body, meaning); !read) return read;
    auto fine = core::validate(changed);
    return fine ? core::Result<void>{} : tl::unexpected(fine.error());
  });
  if (!stored) return failure_of(stored.error());
  if (auto told = tell_running_proxy(context_, *stored, {}); !told) return failure_of(told.error());
  return success(core::public_json(*stored));
}

Answer Service::remove(const std::string& id) {
  auto config = find(id);
  if (!config) return failure_of(config.error());
  auto home = context_.home();
  if (!home) return failure_of(home.error());
  const auto state = core::proxy_state(*home, config->id);
  if (!state) return failure_of(state.error());
  if (state->phase != core::ProxyPhase::kStopped) {
    return failure(409, kStillRunning,
                   fmt::format("The proxy of '{}' is running. Stop it first: hyperdrive stop {}",
                               config->name, core::shell_word(*config)));
  }
  auto registry = context_.registry();
  if (!registry) return failure_of(registry.error());
  auto gone = (*registry)->remove(config->id);
  if (!gone) return failure_of(gone.error());
  // The config is gone whatever becomes of its log.
  (void)core::forget_proxy(*home, config->id);
  return success(nullptr);
}

/// Drains the pool of a running proxy; one that does not run has none, which is fine.
Answer Service::restart(const std::string& id) {
  auto config = find(id);
  if (!config) return failure_of(config.error());
  auto home = context_.home();
  if (!home) return failure_of(home.error());
  const auto state = core::proxy_state(*home, config->id);
  if (!state) return failure_of(state.error());
  if (state->phase != core::ProxyPhase::kStopped) {
    auto registry = context_.registry();
    if (!registry) return failure_of(registry.error());
    auto launch = (*registry)->launch(config->id);
    if (!launch) return failure_of(launch.error());
    auto restarted = core::restart_proxy(*home, std::move(*launch));
    if (!restarted) return failure_of(restarted.error());
  }
  Json result = core::public_json(*config);
  result["restarted_on"] = core::now_rfc3339();
  return success(std::move(result));
}

}  // namespace hyperdrive::cli::api
