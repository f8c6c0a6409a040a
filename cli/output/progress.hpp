// A sign of life on standard error when something takes longer than a second: on a terminal a
// spinner that is wiped at the end; nothing at all elsewhere. One at a time.
#pragma once

#include <memory>
#include <string>

#include "cli/output/output.hpp"

namespace hyperdrive::cli {

class Progress {
 public:
  Progress(const Output& out, std::string doing);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  struct Spinner;
  std::unique_ptr<Spinner> spinner_;
};

}  // namespace hyperdrive::cli
