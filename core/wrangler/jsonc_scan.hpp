// A lossless parser of JSON with comments and trailing commas (what wrangler reads from both
// wrangler.json and wrangler.jsonc): every value with its byte positions. Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/wrangler/syntax.hpp"

namespace hyperdrive::core::wrangler {

/// The one value of the text. Keys may repeat (the last one holds, as in wrangler). Errors name
/// line and column.
Result<Node> scan_jsonc(std::string_view text, std::string_view file);

/// The comments within a part of the text that begins outside a string.
std::vector<Span> jsonc_comments(std::string_view text, Span part);

}  // namespace hyperdrive::core::wrangler
