#include "proxy/admin/api.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "proxy/admin/render.hpp"

namespace hyperdrive::proxy::admin {
namespace {

struct Context {
  const ApiRequest& request;
  AdminBackend& backend;
  QueryClasses& classes;
  std::string_view dashboard;
};

ApiResponse json_response(const Json& json, int status = 200) {
  return {status, "application/json", dump(json) + '\n', {}};
}

ApiResponse bad_request(std::string message, std::string hint = {}) {
  return error_response(400, {std::move(message), std::move(hint)});
}

/// The body as a JSON object; an empty body is an empty object.
core::Result<Json> object_body(const ApiRequest& request) {
  if (request.body.empty()) return Json::object();
  Json json = Json::parse(request.body, nullptr, false);
  if (json.is_discarded()) return core::fail("The body is not valid JSON.");
  if (!json.is_object()) return core::fail("The body must be a JSON object.");
  return json;
}

ApiResponse get_health(const Context&) { return {200, "text/plain; charset=utf-8", "ok\n", {}}; }

ApiResponse get_ready(const Context& context) {
  const Readiness readiness = context.backend.readiness();
  const std::string text = readiness.ready ? "ready" : readiness.reason;
  return {readiness.ready ? 200 : 503, "text/plain; charset=utf-8", text + '\n', {}};
}

ApiResponse get_metrics(const Context& context) {
  const std::string text = prometheus_text(context.backend.status(), context.backend.stats());
  return {200, "text/plain; version=0.0.4; charset=utf-8", text, {}};
}

ApiResponse get_status(const Context& context) {
  Json json = to_json(context.backend.status());
  // Who may open the socket may see the token; who came by the port has it.
  json["dashboard"] = context.request.from_socket ? context.dashboard : std::string_view();
  return json_response(json);
}

ApiResponse get_stats(const Context& context) {
  return json_response(to_json(context.backend.stats()));
}

ApiResponse get_queries(const Context& context) {
  constexpr std::size_t kDefault = 100, kMax = 1000;
  std::size_t limit = kDefault;
  if (const std::string text = query_parameter(context.request.target, "limit"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc{} || end != text.data() + text.size() || limit < 1 || limit > kMax) {
      return bad_request("limit must be a number from 1 to 1000.");
    }
  }
  const QueryClasses::Top top = context.classes.top(limit);
  Json classes = Json::array();
  for (const QueryClass& query : top.classes) classes.push_back(to_json(query));
  return json_response({{"since", timestamp(top.since)}, {"classes", std::move(classes)}});
}

ApiResponse get_config(const Context& context) {
  return {200, "application/json", context.backend.config_json() + '\n', {}};
}

ApiResponse post_explain(const Context& context) {
  const auto body = object_body(context.request);
  if (!body) return error_response(400, body.error());
  const auto sql = body->find("sql");
  if (sql == body->end() || !sql->is_string()) {
    return bad_request("POST /v1/explain needs \"sql\", a string.",
                       R"(Send for example {"sql":"SELECT 1"}.)");
  }
  const auto explanation = context.backend.explain(sql->get<std::string>());
  if (!explanation) return error_response(500, explanation.error());
  return json_response(to_json(*explanation));
}

core::Result<Purge> read_purge(const Json& body) {
  constexpr std::pair<const char*, Purge::What> kNamed[] = {
      {"table", Purge::What::kTable}, {"tag", Purge::What::kTag}, {"query", Purge::What::kQuery}};
  const auto wrong = core::fail("POST /v1/purge needs exactly one of all, table, tag, query.",
                                R"(Send for example {"table":"products"}.)");
  if (body.size() != 1) return wrong;
  const auto only = body.begin();
  const std::string& key = only.key();
  const Json& value = only.value();
  if (key == "all" && value == true) return Purge{};
  for (const auto& [name, what] : kNamed) {
    if (key == name && value.is_string() && !value.get_ref<const std::string&>().empty()) {
      return Purge{what, value.get<std::string>()};
    }
  }
  return wrong;
}

ApiResponse post_purge(const Context& context) {
  const auto body = object_body(context.request);
  if (!body) return error_response(400, body.error());
  const auto purge = read_purge(*body);
  if (!purge) return error_response(400, purge.error());
  const auto purged = context.backend.purge(*purge);
  if (!purged) return error_response(500, purged.error());
  Json answer{{"purged", purged->entries}};
  if (!purged->warning.empty()) answer["warning"] = purged->warning;
  return json_response(answer);
}

ApiResponse post_reload(const Context& context) {
  if (context.request.body.empty()) {
    return bad_request("POST /v1/reload needs the launch document as its body.");
  }
  const auto reloaded = context.backend.reload(context.request.body);
  if (!reloaded) return error_response(400, reloaded.error());
  return json_response(
      {{"reloaded", true}, {"changed", reloaded->changed}, {"restart", reloaded->restart}});
}

ApiResponse post_drain(const Context& context) {
  constexpr std::int64_t kMaxMs = 24 * 3600 * 1000;
  const auto body = object_body(context.request);
  if (!body) return error_response(400, body.error());
  std::optional<std::chrono::milliseconds> timeout;
  if (const auto ms = body->find("timeout_ms"); ms != body->end()) {
    if (!ms->is_number_integer() || *ms < 0 || *ms > kMaxMs) {
      return bad_request("timeout_ms must be a number from 0 to 86400000.");
    }
    timeout = std::chrono::milliseconds(ms->get<std::int64_t>());
  }
  context.backend.drain(timeout);
  return json_response({{"draining", true}}, 202);
}

struct Route {
  std::string_view method;
  std::string_view path;
  ApiResponse (*answer)(const Context&);
  bool socket_only;  // changes what the proxy is: not for the port
};
constexpr std::array kRoutes = {
    Route{"GET", "/healthz", get_health, false},
    Route{"GET", "/readyz", get_ready, false},
    Route{"GET", "/metrics", get_metrics, false},
    Route{"GET", "/v1/status", get_status, false},
    Route{"GET", "/v1/stats", get_stats, false},
    Route{"GET", "/v1/queries", get_queries, false},
    Route{"GET", "/v1/config", get_config, false},
    Route{"POST", "/v1/explain", post_explain, false},
    Route{"POST", "/v1/purge", post_purge, false},
    Route{"POST", "/v1/reload", post_reload, true},
    Route{"POST", "/v1/drain", post_drain, true},
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      decoded.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      decoded.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return decoded;
}

}  // namespace

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

std::string query_parameter(std::string_view target, std::string_view name) {
  const std::size_t mark = target.find('?');
  std::string_view rest = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    return equals == std::string_view::npos ? "" : percent_decode(pair.substr(equals + 1));
  }
  return {};
}

ApiResponse error_response(int status, const core::Error& error) {
  return json_response({{"error", to_json(error)}}, status);
}

ApiResponse answer(const ApiRequest& request, AdminBackend& backend, QueryClasses& classes,
                   std::string_view dashboard) {
  const std::string_view path = path_of(request.target);
  const std::string_view method = request.method == "HEAD" ? "GET" : request.method;
  for (const Route& route : kRoutes) {
    if (route.path != path) continue;
    if (route.method != method) {
      ApiResponse response = error_response(
          405,
          {fmt::format("{} {} is not answered; send {}.", request.method, path, route.method), {}});
      response.allow = route.method;
      return response;
    }
    if (route.socket_only && !request.from_socket) {
      return error_response(403, {fmt::format("{} is answered on the Unix socket only.", path),
                                  "Use the hyperdrive command on this machine."});
    }
    return route.answer({request, backend, classes, dashboard});
  }
  return error_response(404, {fmt::format("There is no {} here.", cut_utf8(path, 200)),
                              "docs/admin-api.md lists what there is."});
}

}  // namespace hyperdrive::proxy::admin
