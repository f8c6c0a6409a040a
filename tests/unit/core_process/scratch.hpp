// A home folder of its own for one test, removed afterwards.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "core/base/home.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "hd-unit-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~Scratch() { std::filesystem::remove_all(folder_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Home home() const { return Home{folder_ / "home"}; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

inline Config sample(const std::string& name) {
  Config config;
  config.name = name;
  config.origin.host = "db.example.com";
  config.origin.port = 5432;
  config.origin.database = "neondb";
  config.origin.user = "test";
  config.origin.password = Secret("pass-" + name);
  return config;
}

}  // namespace hyperdrive::core
