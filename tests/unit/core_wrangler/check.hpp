// What every edit must keep: shared by the tests of the wrangler file editor.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "core/wrangler/edit.hpp"

namespace hyperdrive::core::wrangler {

inline constexpr std::string_view kId = "0123456789abcdef0123456789abcdef";
inline constexpr std::string_view kOther = "fedcba9876543210fedcba9876543210";

inline std::string must_bind(std::string_view text, Format format,
                             std::string_view environment = "",
                             std::string_view name = "HYPERDRIVE", std::string_view id = kId) {
  const auto result = bind(text, format, {"wrangler.file", environment}, name, id);
  INFO(text);
  INFO((result ? *result : result.error().message));
  REQUIRE(result);
  return *result;
}

inline std::string must_unbind(std::string_view text, Format format,
                               std::string_view environment = "",
                               std::string_view name = "HYPERDRIVE") {
  const auto result = unbind(text, format, {"wrangler.file", environment}, name);
  INFO(text);
  INFO((result ? "" : result.error().message));
  REQUIRE(result);
  return *result;
}

/// Binds, reads, binds again to another id, unbinds: the original comes back byte for byte.
inline std::string round_trip(std::string_view text, Format format,
                              std::string_view environment = "",
                              std::string_view name = "HYPERDRIVE") {
  const std::string bound = must_bind(text, format, environment, name);
  const auto reading = read_bindings(bound, format, "wrangler.file");
  REQUIRE(reading);
  bool found = false;
  for (const Binding& binding : reading->bindings) {
    found |= binding.environment == environment && binding.name == name && binding.id == kId;
  }
  INFO(bound);
  CHECK(found);
  CHECK(must_unbind(bound, format, environment, name) == text);
  const std::string again = must_bind(bound, format, environment, name, kOther);
  CHECK(must_unbind(again, format, environment, name) == text);
  return bound;
}

}  // namespace hyperdrive::core::wrangler
