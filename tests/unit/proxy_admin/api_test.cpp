#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "fake_backend.hpp"
#include "proxy/admin/access.hpp"
#include "proxy/admin/api.hpp"
#include "proxy/admin/event_hub.hpp"
#include "proxy/admin/render.hpp"
#include "proxy/admin/server.hpp"

using namespace hyperdrive::proxy::admin;
using hyperdrive::core::Secret;
using hyperdrive::tests::FakeBackend;

namespace {

QueryClasses& no_classes() {
  static QueryClasses classes;
  return classes;
}

struct Answer {
  int status;
  Json json;
};

Answer ask(FakeBackend& backend, std::string_view method, std::string_view target,
           std::string_view body = {}, bool from_socket = true) {
  const ApiResponse response =
      answer({method, target, body, from_socket}, backend, no_classes(), "http://d/");
  return {response.status, Json::parse(response.body, nullptr, false)};
}

}  // namespace

TEST_CASE("stats have the documented shape") {
  FakeBackend backend;
  const Json stats = ask(backend, "GET", "/v1/stats").json;
  CHECK(stats["clients"] == 3);
  CHECK(stats["origin_connections"] == 2);
  CHECK(stats["waiting"] == 0);
  CHECK(stats["queries"] == 250);
  CHECK(stats["transactions"] == 0);
  CHECK(stats["origin_connects"] == 0);
  CHECK(stats["latency"]["query"]["p99_us"] == 1900);
  CHECK(stats["pins"]["listen"] == 1);
  CHECK(stats["cache"]["hit"] == 200);
  CHECK(stats["cache"]["stale_hits"] == 7);
  for (const auto status : kCacheStatuses) CHECK(stats["cache"].contains(std::string(status)));
}

TEST_CASE("status tells the last error, and the dashboard's address only on the socket") {
  FakeBackend backend;
  const Json status = ask(backend, "GET", "/v1/status").json;
  CHECK(status["state"] == "running");
  CHECK(status["origin"]["last_error"]["code"] == 2011);
  CHECK(status["origin"]["last_error"]["at"] == "1970-01-01T00:00:00.000Z");
  CHECK(status["dashboard"] == "http://d/");
  CHECK(ask(backend, "GET", "/v1/status", "", false).json["dashboard"] == "");
}

TEST_CASE("readiness is told by the status code") {
  FakeBackend backend;
  CHECK(ask(backend, "GET", "/readyz").status == 200);
  CHECK(ask(backend, "HEAD", "/readyz").status == 200);
  backend.ready = false;
  CHECK(ask(backend, "GET", "/readyz").status == 503);
  CHECK(ask(backend, "GET", "/healthz").status == 200);
}

TEST_CASE("the number of query classes asked for is bounded") {
  FakeBackend backend;
  CHECK(ask(backend, "GET", "/v1/queries").json["classes"].is_array());
  CHECK(ask(backend, "GET", "/v1/queries?x=1&limit=7").status == 200);
  for (const char* limit : {"0", "1001", "-1", "x", "7x", "99999999999999999999"}) {
    CHECK(ask(backend, "GET", std::string("/v1/queries?limit=") + limit).status == 400);
  }
}

TEST_CASE("queries that differ in literals are one class, once somebody looks") {
  EventHub hub;
  QueryEvent event;
  event.sql = "SELECT * FROM t WHERE a = 1 /* note */ AND b = 'x'";
  hub.publish(event);
  CHECK_FALSE(hub.listening());
  CHECK(hub.classes().top(10).classes.empty());
  CHECK(hub.listening());
  const auto publish = [&](const std::string& sql, const std::string& status,
                           std::uint64_t micros) {
    event.sql = sql;
    event.status = status;
    event.duration_us = micros;
    hub.publish(event);
  };
  publish("SELECT * FROM t WHERE a = 1 AND b = 'x'", "miss", 900);
  publish("SELECT * FROM t WHERE a = 22 AND b = 'it''s'", "hit", 100);
  publish("INSERT INTO t VALUES (1)", "notaquery", 300);
  publish("SELECT 'unterminated", "parseerror", 1);
  const auto top = hub.classes().top(2);
  REQUIRE(top.classes.size() == 2);
  CHECK(top.classes[0].sql == "SELECT * FROM t WHERE a = ? AND b = ?");
  CHECK(top.classes[0].count == 2);
  CHECK(top.classes[0].hits == 1);
  CHECK(top.classes[0].misses == 1);
  CHECK(top.classes[0].status == "hit");
  CHECK(top.classes[0].latency.sum == 1000);
  CHECK(top.classes[0].latency.max == 900);
  CHECK(top.classes[1].sql == "INSERT INTO t VALUES (?)");
}

TEST_CASE("ever new statements do not fill the memory") {
  QueryClasses classes;
  classes.top(1);
  QueryEvent event;
  for (std::size_t i = 0; i < QueryClasses::kMost + 50; ++i) {
    event.sql = "SELECT a" + std::to_string(i);
    classes.add(event);
  }
  const auto all = classes.top(QueryClasses::kMost * 2).classes;
  CHECK(all.size() == QueryClasses::kMost + 1);
  std::uint64_t count = 0;
  for (const auto& one : all) count += one.count;
  CHECK(count == QueryClasses::kMost + 50);
}

TEST_CASE("explain and purge check their body") {
  FakeBackend backend;
  const Answer explained = ask(backend, "POST", "/v1/explain", "{\"sql\":\"SELECT now()\"}");
  CHECK(explained.json["status"] == "volatile");
  CHECK(explained.json["production"]["differs"] == false);
  for (const char* body : {"", "{", "[]", "{}", R"({"sql":5})"}) {
    CHECK(ask(backend, "POST", "/v1/explain", body).status == 400);
  }
  const std::string broken = R"({"sql":"broken"})";
  CHECK(ask(backend, "POST", "/v1/explain", broken).status == 500);

  const std::string table = R"({"table":"products"})", all = R"({"all":true})";
  CHECK(ask(backend, "POST", "/v1/purge", table).json["purged"] == 5);
  CHECK(backend.purged.what == Purge::What::kTable);
  CHECK(backend.purged.name == "products");
  CHECK(!ask(backend, "POST", "/v1/purge", table).json.contains("warning"));
  const std::string half = R"({"tag":"half"})";
  CHECK(ask(backend, "POST", "/v1/purge", half).json["warning"] ==
        "the shared cache could not be told");
  CHECK(ask(backend, "POST", "/v1/purge", all).status == 200);
  CHECK(backend.purged.what == Purge::What::kAll);
  for (const char* body : {"", "{}", R"({"all":false})", R"({"table":""})", R"({"table":1})",
                           R"({"table":"a","tag":"b"})", R"({"everything":true})"}) {
    const Answer refused = ask(backend, "POST", "/v1/purge", body);
    CHECK(refused.status == 400);
    CHECK(refused.json["error"]["hint"] != "");
  }
}

TEST_CASE("reload is all or nothing, drain takes a timeout, both come from the socket only") {
  FakeBackend backend;
  CHECK(ask(backend, "POST", "/v1/reload", "{}").json["changed"][0] == "caching");
  CHECK(ask(backend, "POST", "/v1/reload", "{}").json["restart"][0] == "workers");
  CHECK(ask(backend, "POST", "/v1/reload", "{\"x\":1}").status == 400);
  CHECK(ask(backend, "POST", "/v1/reload", "").status == 400);
  CHECK(ask(backend, "POST", "/v1/reload", "{}", false).status == 403);
  CHECK(ask(backend, "POST", "/v1/drain", "", false).status == 403);
  CHECK_FALSE(backend.drained);
  const std::string negative = R"({"timeout_ms":-1})", quarter = R"({"timeout_ms":250})";
  CHECK(ask(backend, "POST", "/v1/drain", negative).status == 400);
  CHECK(ask(backend, "POST", "/v1/drain", quarter).status == 202);
  CHECK(backend.drain_timeout == std::chrono::milliseconds(250));
  CHECK(ask(backend, "POST", "/v1/drain").status == 202);
  CHECK_FALSE(backend.drain_timeout.has_value());
}

TEST_CASE("unknown paths and methods are told apart") {
  FakeBackend backend;
  CHECK(ask(backend, "GET", "/v2/stats").status == 404);
  CHECK(ask(backend, "GET", "").status == 404);
  CHECK(ask(backend, "POST", "/v1/stats").status == 405);
  CHECK(answer({"DELETE", "/v1/purge", "", true}, backend, no_classes(), "").allow == "POST");
}

TEST_CASE("metrics are Prometheus text") {
  FakeBackend backend;
  const ApiResponse response = answer({"GET", "/metrics", "", true}, backend, no_classes(), "");
  CHECK(response.body.find("hyperdrive_queries_total 250\n") != std::string::npos);
  CHECK(response.body.find("hyperdrive_cache_queries_total{status=\"hit\"} 200\n") !=
        std::string::npos);
  CHECK(response.body.find("# TYPE hyperdrive_latency_seconds summary\n") != std::string::npos);
}

TEST_CASE("query parameters are found and decoded") {
  CHECK(query_parameter("/?a=1&token=x%2By+z", "token") == "x+y z");
  CHECK(query_parameter("/?token", "token").empty());
  CHECK(query_parameter("/?a=%zz", "a") == "%zz");
  CHECK(query_parameter("/path", "a").empty());
  CHECK(path_of("/v1/stats?x=/y") == "/v1/stats");
}

TEST_CASE("the port asks for its own name, its own pages, and the token or the cookie") {
  const PortAccess access(8700, Secret("secret-token"));
  const auto check = [&](RequestHeaders headers) { return access.check(headers); };
  const std::string cookie = access.set_cookie().substr(0, access.set_cookie().find(';'));
  CHECK(check({"127.0.0.1:8700", "", "Bearer secret-token", ""}) == Access::kGranted);
  CHECK(check({"localhost:8700", "", "", "other=1; " + cookie}) == Access::kGranted);
  CHECK(check({"127.0.0.1:8700", "http://127.0.0.1:8700", "", cookie}) == Access::kGranted);
  CHECK(check({"127.0.0.1:8700", "", "", ""}) == Access::kNoToken);
  CHECK(check({"127.0.0.1:8700", "", "Bearer secret-toke", ""}) == Access::kNoToken);
  CHECK(check({"127.0.0.1:8700", "", "", "hyperdrive_8700=secret-token"}) == Access::kNoToken);
  CHECK(check({"evil.example:8700", "", "Bearer secret-token", ""}) == Access::kForeignHost);
  CHECK(check({"127.0.0.1:8701", "", "Bearer secret-token", ""}) == Access::kForeignHost);
  CHECK(check({"", "", "Bearer secret-token", ""}) == Access::kForeignHost);
  CHECK(check({"127.0.0.1:8700", "http://evil.example", "", cookie}) == Access::kForeignOrigin);
  CHECK_FALSE(PortAccess(1, Secret()).is_token(""));
  CHECK(admin_token(Secret("a")).reveal() != admin_token(Secret("b")).reveal());
  CHECK(admin_token(Secret("a")).reveal().size() == 64);
}

TEST_CASE("a slow reader of events loses lines and is told how many") {
  EventHub hub;
  CHECK_FALSE(hub.listening());
  int wakes = 0;
  auto reader = hub.open([&wakes] { ++wakes; });
  CHECK(hub.listening());
  for (std::size_t i = 0; i < EventHub::kQueue + 20; ++i) hub.publish(QueryEvent{});
  CHECK(wakes == 1);
  EventBatch batch = reader->take();
  CHECK(batch.events.size() == EventHub::kQueue);
  CHECK(batch.events.front().first == 1);
  CHECK(batch.dropped == 20);
  hub.publish(SessionEvent{});
  CHECK(wakes == 2);
  CHECK(reader->take().events.size() == 1);
  reader.reset();
  hub.publish(QueryEvent{});
  CHECK_FALSE(hub.listening());
}

TEST_CASE("the session's telemetry becomes stats") {
  namespace session = hyperdrive::proxy::session;
  session::Telemetry telemetry(2);
  telemetry.worker(0).add(session::Counter::kQueries, 3);
  telemetry.worker(1).add(session::Counter::kQueries, 4);
  telemetry.worker(1).pinned(session::Feature::kListen);
  telemetry.worker(1).production_refuses(session::Feature::kUse);
  telemetry.worker(0).query.add(100);
  telemetry.worker(1).query.add(900);
  const Json json = to_json(Stats::from(telemetry.snapshot()));
  CHECK(json["queries"] == 7);
  CHECK(json["transactions"] == 0);
  CHECK(json["pins"] == Json{{"listen", 1}});
  CHECK(json["refusals"] == Json::object());
  CHECK(json["refused_in_production"] == Json{{"use", 1}});
  CHECK(json["latency"]["query"]["count"] == 2);
  CHECK(json["latency"]["query"]["max_us"] == 900);
  CHECK(json["latency"]["query"]["p50_us"] >= 100);
}

TEST_CASE("events are lines of JSON whatever the statement holds") {
  QueryEvent query;
  query.sql = "SELECT 'line\nbreak', '\xff'" + std::string(kMaxEventSql, 'x');
  query.status = "miss";
  query.sqlstate = "42P01";
  EventBatch batch;
  batch.events = {{1, query}, {2, SessionEvent{}}, {3, OriginEvent{{}, "connect_failed", {}}}};
  batch.dropped = 4;
  const std::string lines = event_lines(batch, true);
  std::vector<Json> parsed;
  std::size_t start = 0;
  for (std::size_t end; (end = lines.find('\n', start)) != std::string::npos; start = end + 1) {
    parsed.push_back(Json::parse(lines.substr(start, end - start)));
  }
  REQUIRE(parsed.size() == 4);
  CHECK(parsed[0]["seq"] == 1);
  CHECK(parsed[0]["error"]["sqlstate"] == "42P01");
  CHECK(parsed[1]["type"] == "session");
  CHECK(parsed[2]["event"] == "connect_failed");
  CHECK(parsed[3] == Json{{"type", "dropped"}, {"n", 4}});
  CHECK(event_lines(batch, false).find("line") == std::string::npos);
  CHECK(cut_utf8("a\xc3\xa9", 2) == "a");
  CHECK(cut_utf8("a\xc3\xa9", 3) == "a\xc3\xa9");
}
