// `hyperdrive logs [-f]`: what a proxy has written.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/interrupt.hpp"
#include "core/base/file.hpp"
#include "core/config/suggest.hpp"
#include "core/config/text.hpp"
#include "core/process/proxy.hpp"

namespace hyperdrive::cli {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);
constexpr std::int64_t kMostLines = 1'000'000;

constexpr Positional kPositionals[] = {
    {.name = "config", .help = "Name or id of the Hyperdrive config", .offer = Offer::kConfigs}};

constexpr Flag kFlags[] = {
    {.name = "follow",
     .aliases = "f",
     .kind = FlagKind::kBoolean,
     .help = "Keep printing what is added, until Ctrl-C"},
    {.name = "lines",
     .aliases = "n",
     .kind = FlagKind::kNumber,
     .help = "How many of the last lines (default: 100)"},
};

constexpr Example kExamples[] = {
    {"hyperdrive logs prod-db", "the last 100 lines"},
    {"hyperdrive logs prod-db -f -n 10", "and what comes"},
};

/// Where the last `count` lines of `text` begin.
std::size_t begin_of_last_lines(std::string_view text, std::int64_t count) {
  std::size_t at = text.size();
  if (at > 0 && text[at - 1] == '\n') --at;
  while (count > 0 && at != std::string_view::npos && at > 0) {
    at = text.rfind('\n', at - 1);
    --count;
  }
  return at == std::string_view::npos || (at == 0 && count > 0) ? 0
         : text[at] == '\n'                                     ? at + 1
                                                                : at;
}

nlohmann::ordered_json lines_of(std::string_view text) {
  auto lines = nlohmann::ordered_json::array();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(std::string(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// Prints what `fd` has from here on; false when standard output takes no more.
bool pour(int fd, Output& out) {
  char buffer[16384];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    out.print_raw({buffer, static_cast<std::size_t>(got)});
    if (out.reader_left() || !out.check_written()) return false;
  }
}

/// A restart may put a new file in the place of the old one.
bool is_replaced(int fd, const std::string& path) {
  struct stat open_file {};
  struct stat named {};
  if (::fstat(fd, &open_file) != 0 || ::stat(path.c_str(), &named) != 0) return false;
  return open_file.st_ino != named.st_ino || named.st_size < ::lseek(fd, 0, SEEK_CUR);
}

Outcome follow(const std::string& path, core::Descriptor fd, Output& out) {
  const InterruptFlag interrupted;
  while (!interrupted.raised()) {
    if (!pour(fd.get(), out)) return 0;
    if (is_replaced(fd.get(), path)) {
      core::Descriptor next(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (next) fd = std::move(next);
      continue;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return static_cast<int>(core::Exit::kInterrupted);
}

Outcome logs(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto config = (*registry)->find(context.args().positional(0));
  if (!config) return tl::unexpected(config.error());
  auto count =
      core::parse_integer(context.args().text_or("lines", "100"), "--lines", 0, kMostLines);
  if (!count) return tl::unexpected(count.error());

  if (context.out().json() && context.args().on("follow")) {
    return core::usage("--follow has no end, and --json prints one document.",
                       "Leave one of the two out.");
  }

  const std::string path = core::log_path((*registry)->home(), config->id);
  core::Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno != ENOENT) {
      return core::fail(fmt::format("Cannot read {}: {}.", path, core::errno_text(errno)));
    }
    return core::fail(fmt::format("The proxy of '{}' has not written a log yet.", config->name),
                      fmt::format("Start it: hyperdrive start {}", core::shell_word(*config)));
  }
  auto text = core::read_file(path);
  if (!text) return tl::unexpected(text.error());
  const auto last = std::string_view(*text).substr(begin_of_last_lines(*text, *count));
  if (context.out().json()) {
    context.out().document(lines_of(last));
    return 0;
  }
  context.out().print_raw(last);
  if (!context.args().on("follow")) return 0;
  ::lseek(fd.get(), static_cast<off_t>(text->size()), SEEK_SET);
  return follow(path, std::move(fd), context.out());
}

}  // namespace

const Command kLogs{
    .path = "logs",
    .summary = "Show a proxy's log",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = logs,
};

}  // namespace hyperdrive::cli
