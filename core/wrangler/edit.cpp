#include "core/wrangler/edit.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/wrangler/plans.hpp"
#include "core/wrangler/tree.hpp"

namespace hyperdrive::core::wrangler {
namespace {

Result<Plan> plan_bind(std::string_view text, Format format, const Target& target,
                       std::string_view name, std::string_view id, const ExtraKeys& extra) {
  return format == Format::kToml ? plan_bind_toml(text, target, name, id, extra)
                                 : plan_bind_jsonc(text, target, name, id, extra);
}

tl::unexpected<Error> refused(const Target& target, std::string_view what) {
  return fail(fmt::format("{}: this file is written in a way that the editor cannot {} safely; "
                          "nothing was changed",
                          target.file, what),
              "Edit the file by hand, and please report its shape.");
}

Result<Removal> plan_unbind(std::string_view text, Format format, const Target& target,
                            std::string_view name) {
  return format == Format::kToml ? plan_unbind_toml(text, target, name)
                                 : plan_unbind_jsonc(text, target, name);
}

std::optional<std::string> bound(std::string_view text, Format format, const Target& target,
                                 std::string_view name, const Removal& removal) {
  const auto plan = plan_bind(text, format, target, name, removal.id, removal.extra);
  if (!plan) return {};
  return apply_plan(text, *plan);
}

/// The text of which `bind` made this one, last of all: nullopt if there is none.
std::optional<std::string> direct_original(std::string_view text, Format format,
                                           const Target& target, std::string_view name,
                                           const Removal& removal) {
  for (const Plan& plan : removal.plans) {
    std::string original = apply_plan(text, plan);
    if (bound(original, format, target, name, removal) == text) return original;
  }
  return {};
}

/// Likewise if other bindings were added after this one: they are taken off from the last, and put
/// back. `names`: those in the array, in order.
std::optional<std::string> original_of(std::string_view text, Format format, const Target& target,
                                       std::string_view name,
                                       const std::vector<std::string>& names) {
  const auto removal = plan_unbind(text, format, target, names.back());
  if (!removal) return {};
  auto below = direct_original(text, format, target, names.back(), *removal);
  if (!below || names.back() == name) return below;
  constexpr std::size_t kManyBindings = 32;  // beyond: not worth the time
  if (names.size() > kManyBindings) return {};
  const std::vector<std::string> others(names.begin(), names.end() - 1);
  const auto original = original_of(*below, format, target, name, others);
  if (!original) return {};
  return bound(*original, format, target, names.back(), *removal);
}

}  // namespace

Result<std::string> bind(std::string_view text, Format format, const Target& target,
                         std::string_view name, std::string_view id, const ExtraKeys& extra) {
  auto before = parse_tree(text, format, target.file);
  if (!before) return tl::unexpected(before.error());
  auto wanted = with_binding(std::move(*before), target, name, id, extra);
  if (!wanted) return tl::unexpected(wanted.error());
  auto plan = plan_bind(text, format, target, name, id, extra);
  if (!plan) return tl::unexpected(plan.error());

  std::string result = apply_plan(text, *plan);
  const auto after = parse_tree(result, format, target.file);
  if (!after || *after != *wanted) return refused(target, "bind in");
  return result;
}

Result<std::string> unbind(std::string_view text, Format format, const Target& target,
                           std::string_view name) {
  auto before = parse_tree(text, format, target.file);
  if (!before) return tl::unexpected(before.error());
  const auto names = binding_names(*before, target);
  auto wanted = without_binding(std::move(*before), target, name);
  if (!wanted) return tl::unexpected(wanted.error());
  const auto fits = [&](std::string_view result) {
    const auto after = parse_tree(result, format, target.file);
    return after && same_but_for_empty_containers(*after, *wanted, target);
  };

  const auto original = original_of(text, format, target, name, names);
  if (original && fits(*original)) return *original;
  auto removal = plan_unbind(text, format, target, name);
  if (!removal) return tl::unexpected(removal.error());
  for (auto plan = removal->plans.rbegin(); plan != removal->plans.rend(); ++plan) {
    std::string result = apply_plan(text, *plan);
    if (fits(result)) return result;
  }
  return refused(target, "unbind in");
}

}  // namespace hyperdrive::core::wrangler
