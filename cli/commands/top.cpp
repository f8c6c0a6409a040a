// `hyperdrive top`: the query classes of a running proxy, live, the most costly first.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/interrupt.hpp"
#include "cli/live.hpp"
#include "cli/output/table.hpp"
#include "core/base/file.hpp"
#include "core/process/admin_client.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;

constexpr Positional kPositionals[] = {{.name = "config",
                                        .help = "Name or id of a Hyperdrive config; default: the "
                                                "one whose proxy runs",
                                        .required = false,
                                        .offer = Offer::kConfigs}};

constexpr Flag kFlags[] = {
    {.name = "once", .kind = FlagKind::kBoolean, .help = "Print once and end"},
    {.name = "limit",
     .aliases = "n",
     .kind = FlagKind::kNumber,
     .help = "How many classes, 1-1000 (default: 20)"},
};

constexpr Example kExamples[] = {
    {"hyperdrive top", "until q or Ctrl-C"},
    {"hyperdrive top prod-db --json", "once, for programs"},
};

std::string milliseconds(const ordered_json& json, const char* key) {
  return fmt::format("{:.1f}", json.value(key, 0.0) / 1000);
}

std::string classes_text(const ordered_json& answer, std::size_t width) {
  if (answer.value("classes", ordered_json::array()).empty()) {
    return "No statement yet since the first look. From now on they are counted.";
  }
  const std::size_t line = width == 0 ? 200 : width;
  std::string text = fmt::format("{:>8} {:>6} {:>9} {:>9} {:>10}  {:<13} {}\n", "count", "hit %",
                                 "p50 ms", "p99 ms", "total ms", "status", "query");
  constexpr std::size_t kBeforeQuery = 64;
  for (const auto& one : answer.value("classes", ordered_json::array())) {
    const auto count = one.value("count", std::int64_t{0});
    const auto hits = one.value("hits", std::int64_t{0}) + one.value("stale", std::int64_t{0});
    const auto reason = one.value("reason", "");
    std::string query = one_line(one.value("sql", ""));
    if (!reason.empty()) query += fmt::format("  -- {}", printable(reason));
    text += fmt::format("{:>8} {:>6} {:>9} {:>9} {:>10}  {:<13} {}\n", count,
                        count == 0 ? 0 : 100 * hits / count, milliseconds(one, "p50_us"),
                        milliseconds(one, "p99_us"), milliseconds(one, "total_us"),
                        one.value("status", ""),
                        shortened(query, line > kBeforeQuery + 16 ? line - kBeforeQuery : 16));
  }
  return text;
}

core::Result<core::Config> chosen(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  if (const auto which = context.args().positional(0); !which.empty()) {
    return (*registry)->find(which);
  }
  const RunningProxies running = running_proxies((*registry)->home());
  if (running.empty()) {
    return core::fail("No proxy is running.", "Start one: hyperdrive start <config>");
  }
  if (running.size() > 1) {
    return core::usage("More than one proxy is running.", "Say which: hyperdrive top <config>");
  }
  return (*registry)->find(*running.begin());
}

/// Waits a second; false when the user has had enough.
bool wait_a_second(const InterruptFlag& interrupted) {
  pollfd keys{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  const bool keyboard = ::isatty(STDIN_FILENO) == 1;
  for (int tenth = 0; tenth < 10; ++tenth) {
    if (interrupted.raised()) return false;
    if (!keyboard) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    } else if (::poll(&keys, 1, 100) > 0) {
      char key = 0;
      if (::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == '\x04') return false;
    }
  }
  return true;
}

Outcome watch(Context& context, core::AdminClient& proxy, const core::Config& config,
              const std::string& path) {
  const InterruptFlag interrupted;
  const RawKeys keys;
  do {
    auto body = proxy.get_body(path);
    if (!body) return tl::unexpected(body.error());
    const auto answer = ordered_json::parse(*body, nullptr, false);
    if (!answer.is_object()) return core::fail("The proxy's answer is not the JSON it should be.");
    context.out().print("\x1b[H\x1b[J" + printable(config.name) + "   (q ends)\n" +
                        classes_text(answer, context.out().width()));
  } while (wait_a_second(interrupted));
  return interrupted.raised() ? static_cast<int>(core::Exit::kInterrupted) : 0;
}

Outcome top(Context& context) {
  auto config = chosen(context);
  if (!config) return tl::unexpected(config.error());
  auto state = need_running_proxy(context, *config);
  if (!state) return tl::unexpected(state.error());
  core::AdminClient proxy(state->admin_socket);
  const std::string path = "/v1/queries?limit=" + context.args().text_or("limit", "20");
  if (context.out().terminal() && !context.out().json() && !context.args().on("once")) {
    return watch(context, proxy, *config, path);
  }
  auto body = proxy.get_body(path);
  if (!body) return tl::unexpected(body.error());
  const auto answer = ordered_json::parse(*body, nullptr, false);
  if (!answer.is_object()) return core::fail("The proxy's answer is not the JSON it should be.");
  context.out().document_if_json(answer);
  context.out().print(classes_text(answer, 0));
  return 0;
}

}  // namespace

const Command kTop{
    .path = "top",
    .summary = "Watch the queries that cost most",
    .details =
        "A class is a statement with its literals taken out. A proxy counts them from the first "
        "look "
        "on; until then they cost it nothing. Into a pipe it prints once.",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = top,
};

}  // namespace hyperdrive::cli
