#include "cli/output/report.hpp"

#include <fmt/format.h>

namespace hyperdrive::cli {
namespace {

Style style_of(const std::string& status) {
  if (status == "ok") return Style::kGreen;
  if (status == "warning") return Style::kYellow;
  if (status == "failed") return Style::kRed;
  return Style::kDim;
}

}  // namespace

void print_finding(Output& out, const Finding& finding) {
  std::string line = fmt::format(
      "{} {:<10} {}", out.styled(fmt::format("{:<8}", finding.status), style_of(finding.status)),
      finding.subject, finding.message);
  if (finding.code != 0) line += fmt::format(" [code: {}]", finding.code);
  if (!finding.hint.empty() && finding.status != "ok") {
    line += fmt::format("\n{:20}{}", "", finding.hint);
  }
  out.print(line);
}

}  // namespace hyperdrive::cli
