// One line of a check-up (`test`, `doctor`): ok, warning, failed or skipped, and the remedy.
#pragma once

#include <string>

#include "cli/output/output.hpp"

namespace hyperdrive::cli {

struct Finding {
  std::string status;  ///< `ok`, `warning`, `failed`, `skipped`
  std::string subject;
  std::string message;
  std::string hint;
  int code = 0;
};

void print_finding(Output& out, const Finding& finding);

}  // namespace hyperdrive::cli
