// Cloudflare's envelope `{result, success, errors, messages, result_info}`, read and judged. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/cloudflare/http.hpp"

namespace hyperdrive::core::cloudflare {

struct Answer {
  nlohmann::ordered_json result;       ///< null for an empty body (204)
  nlohmann::ordered_json result_info;  ///< null if the answer has none
};

/// What a try tells about the next one.
enum class Verdict {
  kDone,     ///< a good answer
  kRefused,  ///< a bad one that would come again
  kLater,    ///< not carried out (429, no connection): try again
  kUnknown,  ///< carried out or not, nobody knows (5xx, a cut connection, a torn answer)
};

Verdict judge(const Reply& reply);

/// The result, or Cloudflare's own words with their codes. `path` without the base URL.
Result<Answer> read_answer(const Reply& reply, std::string_view method, std::string_view path);

}  // namespace hyperdrive::core::cloudflare
