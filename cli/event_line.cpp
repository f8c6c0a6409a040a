#include "cli/event_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;

Style style_of(std::string_view status) {
  if (status == "hit") return Style::kGreen;
  if (status == "stale") return Style::kYellow;
  if (status == "miss") return Style::kCyan;
  return Style::kDim;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

/// `HIT`, `STALE HIT: products was written 3 s ago`, `VOLATILE: now() is …`. The proxy gives a hit
/// a reason only where a write had made it stale.
std::string outcome(const std::string& status, const std::string& reason) {
  if (reason.empty()) return upper(status);
  const bool cached = status == "hit" || status == "stale";
  return fmt::format("{}: {}", cached ? "STALE HIT" : upper(status), printable(reason));
}

/// It never ran: there are no rows, and no time that would say anything.
std::string refused_line(const ordered_json& event, const Output& out) {
  const auto error = event.value("error", ordered_json::object());
  const std::string why = fmt::format("REFUSED: {} {}", error.value("sqlstate", ""),
                                      printable(error.value("message", "")));
  return fmt::format("{}  {}", out.styled(why, Style::kRed), one_line(event.value("sql", "")));
}

std::string query_line(const ordered_json& event, const Output& out) {
  const std::string status = event.value("status", "");
  if (status == "refused" && event.value("error", ordered_json()).is_object()) {
    return refused_line(event, out);
  }
  const auto rows = event.value("rows", std::int64_t{0});
  const std::string reason = event.value("reason", "");
  const bool stale = status == "hit" && !reason.empty();
  const double milliseconds = event.value("duration_us", 0.0) / 1000;
  std::string spent = fmt::format("{:.{}f} ms", milliseconds, milliseconds < 0.095 ? 2 : 1);
  if (status == "hit" || status == "stale") {
    spent += fmt::format(" (age {} s)", event.value("age_us", std::int64_t{0}) / 1'000'000);
  }
  std::string line = fmt::format(
      "{} {}  {} {}  {}", out.styled(outcome(status, reason), style_of(stale ? "stale" : status)),
      spent, rows, rows == 1 ? "row" : "rows", one_line(event.value("sql", "")));
  if (const std::string pinned = event.value("pinned", ""); !pinned.empty()) {
    line += out.styled(fmt::format("  [keeps its connection: {}]", printable(pinned)), Style::kDim);
  }
  const auto error = event.value("error", ordered_json());
  if (error.is_object()) {
    line += out.styled(fmt::format("  ERROR {}: {}", error.value("sqlstate", ""),
                                   printable(error.value("message", ""))),
                       Style::kRed);
  }
  if (const std::string refused = event.value("refused_in_production", ""); !refused.empty()) {
    line += out.styled(fmt::format("  ⚠ refused or lost in production: {}", printable(refused)),
                       Style::kYellow);
  }
  return line;
}

}  // namespace

std::optional<std::string> event_line(std::string_view json, const Output& out) {
  const auto event = ordered_json::parse(json, nullptr, false);
  if (!event.is_object()) return std::nullopt;
  const std::string type = event.value("type", "");
  if (type == "query") return query_line(event, out);
  if (type == "origin") {
    return out.styled(fmt::format("ORIGIN      {} [code: {}]",
                                  printable(event.value("message", "")), event.value("code", 0)),
                      Style::kRed);
  }
  if (type == "dropped") {
    return out.styled(fmt::format("            … {} queries not shown", event.value("n", 0)),
                      Style::kDim);
  }
  return std::nullopt;
}

}  // namespace hyperdrive::cli
