// `hyperdrive stats [--watch]`: counters and latencies of running proxies.
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/interrupt.hpp"
#include "cli/live.hpp"
#include "core/process/admin_client.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;

constexpr Positional kPositionals[] = {{.name = "config",
                                        .help = "Name or id of a Hyperdrive config; default: all "
                                                "whose proxy runs",
                                        .required = false,
                                        .offer = Offer::kConfigs}};

constexpr Flag kFlags[] = {
    {.name = "watch",
     .aliases = "w",
     .kind = FlagKind::kBoolean,
     .help = "Print anew every second, until Ctrl-C"},
};

constexpr Example kExamples[] = {
    {"hyperdrive stats prod-db", "since the proxy started"},
    {"hyperdrive stats prod-db --json | jq .cache.hit", "for programs"},
    {"hyperdrive stats prod-db --watch", "as it happens"},
};

std::int64_t count(const ordered_json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}

/// With a second digit where one would say nothing: most hits take less than 0.1 ms.
std::string milliseconds(std::int64_t microseconds) {
  return fmt::format("{:.{}f} ms", static_cast<double>(microseconds) / 1000,
                     microseconds < 95 ? 2 : 1);
}

std::string latency_line(const ordered_json& latency, const char* key, std::string_view title) {
  const auto one = latency.value(key, ordered_json::object());
  if (count(one, "count") == 0) return {};
  return fmt::format("  {:<20} p50 {:>9}   p90 {:>9}   p99 {:>9}   max {:>9}\n", title,
                     milliseconds(count(one, "p50_us")), milliseconds(count(one, "p90_us")),
                     milliseconds(count(one, "p99_us")), milliseconds(count(one, "max_us")));
}

/// `title  reason 3, other 1`, or nothing when there is none.
std::string reasons_line(const ordered_json& stats, const char* key, std::string_view title) {
  const auto reasons = stats.value(key, ordered_json::object());
  std::string list;
  for (const auto& [reason, times] : reasons.items()) {
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", printable(reason), times.dump());
  }
  return list.empty() ? "" : fmt::format("  {:<20} {}\n", title, list);
}

/// Likewise, of what works here.
std::string production_line(const ordered_json& stats) {
  std::string line = reasons_line(stats, "refused_in_production", "production refuses");
  if (!line.empty()) line.insert(line.size() - 1, " (works here)");
  return line;
}

/// `volatile 3, transaction 1`: why queries went to the origin without a look into the cache.
std::string refused_line(const ordered_json& cache) {
  std::string list;
  for (const char* status :
       {"disabled", "bypass", "transaction", "oversizedquery", "multiplestatements", "parseerror",
        "notaquery", "volatile", "uncacheable", "oversizedresult"}) {
    if (count(cache, status) == 0) continue;
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", status, count(cache, status));
  }
  return list.empty() ? "" : fmt::format("  {:<20} {}\n", "not cached", list);
}

std::string cache_lines(const ordered_json& cache) {
  const std::int64_t hits = count(cache, "hit") + count(cache, "stale");
  const std::int64_t asked = hits + count(cache, "miss");
  std::string text = fmt::format(
      "  {:<20} {}, {}, {} stale{}\n", "cache", counted(count(cache, "hit"), "hit", "hits"),
      counted(count(cache, "miss"), "miss", "misses"), count(cache, "stale"),
      asked == 0 ? "" : fmt::format(" ({:.0f} % from the cache)", 100.0 * hits / asked));
  text += fmt::format("  {:<20} {}, {} KiB, {} evicted, {} ms at the origin saved\n", "",
                      counted(count(cache, "entries"), "answer", "answers"),
                      (count(cache, "bytes") + 1023) / 1024, count(cache, "evictions"),
                      count(cache, "origin_ms_saved"));
  text += refused_line(cache);
  if (count(cache, "stale_hits") > 0) {
    text += fmt::format(
        "  {:<20} {} older than a write seen here; --invalidation writes prevents that\n", "",
        counted(count(cache, "stale_hits"), "hit was", "hits were"));
  }
  if (count(cache, "verified") > 0) {
    text += fmt::format("  {:<20} {} stale of {} checked\n", "verify",
                        count(cache, "verified_stale"), count(cache, "verified"));
  }
  if (count(cache, "invalid_hints") > 0) {
    text += fmt::format("  {:<20} {} control comments that were not understood\n", "",
                        counted(count(cache, "invalid_hints"), "statement had", "statements had"));
  }
  return text;
}

/// What went wrong since the start, or nothing.
std::string failures_line(const ordered_json& stats) {
  struct Failure {
    const char* key;
    const char* one;
    const char* many;
  };
  constexpr Failure kFailures[] = {
      {"origin_connect_failures", "connection to the origin failed",
       "connections to the origin failed"},
      {"origin_disconnects", "origin connection was lost", "origin connections were lost"},
      {"wait_timeouts", "wait for a connection timed out", "waits for a connection timed out"},
      {"query_timeouts", "query ran into its limit", "queries ran into their limit"},
      {"write_timeouts", "client did not read", "clients did not read"},
      {"login_failures", "login was refused", "logins were refused"},
      {"clients_refused", "client was too many", "clients were too many"}};
  std::string list;
  for (const auto& [key, one, many] : kFailures) {
    if (count(stats, key) == 0) continue;
    list += fmt::format("{}{}", list.empty() ? "" : ", ", counted(count(stats, key), one, many));
  }
  return list.empty() ? "" : fmt::format("  {:<20} {}\n", "trouble", list);
}

std::string stats_text(const std::string& name, const ordered_json& stats) {
  const auto latency = stats.value("latency", ordered_json::object());
  return fmt::format("{}\n  {:<20} {} now, {} since the start\n", name, "clients",
                     count(stats, "clients"), count(stats, "client_connects")) +
         fmt::format("  {:<20} {} open ({} idle), {} waiting, {} opened\n", "origin connections",
                     count(stats, "origin_connections"), count(stats, "idle"),
                     counted(count(stats, "waiting"), "client", "clients"),
                     count(stats, "origin_connects")) +
         fmt::format("  {:<20} {}, {} at the origin, {}\n", "queries", count(stats, "queries"),
                     counted(count(stats, "transactions"), "transaction", "transactions"),
                     counted(count(stats, "errors"), "error", "errors")) +
         failures_line(stats) + latency_line(latency, "query", "as clients felt it") +
         latency_line(latency, "hit", "from the cache") +
         latency_line(latency, "origin", "at the origin") +
         latency_line(latency, "wait", "for a connection") +
         cache_lines(stats.value("cache", ordered_json::object())) +
         reasons_line(stats, "pins", "kept connections") +
         reasons_line(stats, "refusals", "refused") + production_line(stats) +
         reasons_line(stats, "lost", "settings lost");
}

core::Result<ordered_json> stats_of(Context& context, const core::Config& config) {
  auto state = need_running_proxy(context, config);
  if (!state) return tl::unexpected(state.error());
  core::AdminClient proxy(state->admin_socket);
  auto body = proxy.get_body("/v1/stats");
  if (!body) return tl::unexpected(body.error());
  auto json = ordered_json::parse(*body, nullptr, false);
  if (!json.is_object()) return core::fail("The proxy's answer is not the JSON it should be.");
  return json;
}

core::Result<std::vector<core::Config>> wanted(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  if (const auto which = context.args().positional(0); !which.empty()) {
    auto config = (*registry)->find(which);
    if (!config) return tl::unexpected(config.error());
    return std::vector{std::move(*config)};
  }
  std::vector<core::Config> running;
  for (const std::string& id : running_proxies((*registry)->home())) {
    auto config = (*registry)->look_up(id);
    if (!config) return tl::unexpected(config.error());
    // The temporary origin of a `dev` has no row.
    if (*config) running.push_back(std::move(**config));
  }
  return running;
}

core::Result<void> print_once(Context& context, const std::vector<core::Config>& configs,
                              bool one) {
  ordered_json all = ordered_json::object();
  std::string text;
  for (const core::Config& config : configs) {
    auto stats = stats_of(context, config);
    if (!stats) return tl::unexpected(stats.error());
    text += stats_text(printable(config.name), *stats);
    if (one) {
      context.out().document_if_json(*stats);
      break;
    }
    all[config.name] = std::move(*stats);
  }
  if (!one) context.out().document_if_json(all);
  if (configs.empty())
    context.out().say("No proxy is running. Start one: hyperdrive start <config>");
  if (!text.empty()) {
    text.pop_back();
    if (context.args().on("watch") && context.out().terminal()) text = "\x1b[H\x1b[J" + text;
    context.out().print(text);
  }
  return {};
}

Outcome stats(Context& context) {
  auto configs = wanted(context);
  if (!configs) return tl::unexpected(configs.error());
  const bool one = !context.args().positional(0).empty();
  if (context.args().on("watch") && context.out().json()) {
    return core::usage("--watch has no end, and --json prints one document.",
                       "Leave one of the two out.");
  }
  if (!context.args().on("watch")) {
    auto done = print_once(context, *configs, one);
    return done ? Outcome(0) : tl::unexpected(done.error());
  }
  const InterruptFlag interrupted;
  while (true) {
    if (auto done = print_once(context, *configs, one); !done) return tl::unexpected(done.error());
    if (context.out().reader_left() || !context.out().check_written()) return 0;
    for (int tenth = 0; tenth < 10; ++tenth) {
      if (interrupted.raised()) return static_cast<int>(core::Exit::kInterrupted);
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

}  // namespace

const Command kStats{
    .path = "stats",
    .summary = "Show counters and latencies",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = stats,
};

}  // namespace hyperdrive::cli
