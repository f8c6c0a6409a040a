// The edit plans of each format: where in the text a binding goes, or goes away. They trust the
// caller (edit.cpp) to have parsed the text and to check what comes out. Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/wrangler/binding.hpp"
#include "core/wrangler/edit.hpp"
#include "core/wrangler/syntax.hpp"

namespace hyperdrive::core::wrangler {

/// What to take away to unbind: plans of which the first that leads to an original (a text of which
/// `bind` makes the present one) is meant, else the last; and what the binding says.
struct Removal {
  std::vector<Plan> plans;
  std::string id;
  ExtraKeys extra;
};

Result<Plan> plan_bind_jsonc(std::string_view text, const Target& target, std::string_view name,
                             std::string_view id, const ExtraKeys& extra);
Result<Removal> plan_unbind_jsonc(std::string_view text, const Target& target,
                                  std::string_view name);

Result<Plan> plan_bind_toml(std::string_view text, const Target& target, std::string_view name,
                            std::string_view id, const ExtraKeys& extra);
Result<Removal> plan_unbind_toml(std::string_view text, const Target& target,
                                 std::string_view name);

}  // namespace hyperdrive::core::wrangler
