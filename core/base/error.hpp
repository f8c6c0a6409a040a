// The one error type of both programs, and the Result that carries it.
//
// An Error tells a person what happened, why, and what to do next; `code` is Cloudflare's number
// where one exists (2006-2017, shared/cli.md "Codes"), otherwise 0. Functions return Result<T>;
// only a main() turns an Error into text and an exit code. No secret may ever enter an Error.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace hyperdrive::core {

/// Cloudflare's Hyperdrive error numbers.
namespace code {
inline constexpr int kNone = 0;
inline constexpr int kNoSuchConfig = 2006;
inline constexpr int kHostUnresolved = 2008;
inline constexpr int kNotPublic = 2009;
inline constexpr int kUnreachable = 2010;
inline constexpr int kConnectionRefused = 2011;
inline constexpr int kNoTls = 2012;
inline constexpr int kBadCredentials = 2013;
inline constexpr int kNoSuchDatabase = 2014;
inline constexpr int kOriginOther = 2015;
inline constexpr int kTestQueryFailed = 2016;
inline constexpr int kNameTaken = 2017;
}  // namespace code

/// Process exit codes (docs/exit-codes.md).
enum class Exit : int {
  kDone = 0,
  kError = 1,
  kWouldChange = 2,
  kUsage = 64,
  kInterrupted = 130,
};

struct Error {
  std::string message;       ///< what happened, one sentence
  std::string hint;          ///< what to do next; may be empty
  int code = code::kNone;    ///< Cloudflare's number, or 0
  Exit exit = Exit::kError;  ///< the exit code when a command ends with this error
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(std::string message, std::string hint = {},
                                  int code = code::kNone) {
  return tl::unexpected<Error>(Error{std::move(message), std::move(hint), code, Exit::kError});
}

/// Wrong usage: exit code 64.
inline tl::unexpected<Error> usage(std::string message, std::string hint = {}) {
  return tl::unexpected<Error>(
      Error{std::move(message), std::move(hint), code::kNone, Exit::kUsage});
}

}  // namespace hyperdrive::core
