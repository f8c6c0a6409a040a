#include "core/wrangler/edit.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

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

/// Whether `bind` makes `text` of `original`.
bool leads_to(std::string_view original, std::string_view text, Format format, const Target& target,
              std::string_view name, const Removal& removal) {
  const auto plan = plan_bind(original, format, target, name, removal.id, removal.extra);
  return plan && apply_plan(original, *plan) == text;
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
  auto wanted = without_binding(std::move(*before), target, name);
  if (!wanted) return tl::unexpected(wanted.error());
  auto removal = format == Format::kToml ? plan_unbind_toml(text, target, name)
                                         : plan_unbind_jsonc(text, target, name);
  if (!removal) return tl::unexpected(removal.error());

  for (std::size_t i = 0; i < removal->plans.size(); ++i) {
    std::string result = apply_plan(text, removal->plans[i]);
    const bool last = i + 1 == removal->plans.size();
    if (!last && !leads_to(result, text, format, target, name, *removal)) continue;
    const auto after = parse_tree(result, format, target.file);
    if (after && same_but_for_empty_containers(*after, *wanted, target)) return result;
  }
  return refused(target, "unbind in");
}

}  // namespace hyperdrive::core::wrangler
