// Reading and printing the small values of a config: schemes, TLS modes, numbers, durations, sizes,
// cache rules. Pure functions; every error says what was wrong with which text and what is allowed.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

/// `postgres`, `postgresql` or `mysql`.
Result<Scheme> parse_scheme(std::string_view text);
std::string_view scheme_name(Scheme scheme);
/// As stored and shown: `scheme_text` where there is one.
std::string_view scheme_name(const Origin& origin);
/// `PostgreSQL` or `MySQL`, as wrangler's table says.
std::string_view scheme_title(Scheme scheme);

/// What `--sslmode` and `mtls.sslmode` take: Postgres's words as they are, MySQL's in any case. The
/// words of one are refused for the other, with the right one in the hint.
Result<SslMode> parse_ssl_mode(std::string_view text, Scheme scheme);
/// The word of that protocol (`verify-full` / `VERIFY_IDENTITY`); empty for kDefault.
std::string_view ssl_mode_name(SslMode mode, Scheme scheme);
/// What kDefault means for this origin: `prefer` on loopback, `require` elsewhere.
SslMode effective_ssl_mode(const Config& config);
bool is_loopback(std::string_view host);
/// The host to resolve: percent-escapes that wrangler's parser leaves in are undone.
std::string resolvable_host(const Origin& origin);

/// A whole decimal number within [low, high]; `what` begins the error ("--max-age").
Result<std::int64_t> parse_integer(std::string_view text, std::string_view what, std::int64_t low,
                                   std::int64_t high);
Result<std::uint16_t> parse_port(std::string_view text, std::string_view what);
Result<bool> parse_boolean(std::string_view text, std::string_view what);
/// `500ms`, `30s`, `5m`, `1h`, `1m30s`; a bare number is seconds; `0` is none.
Result<std::chrono::milliseconds> parse_duration(std::string_view text, std::string_view what);
std::string print_duration(std::chrono::milliseconds value);
/// `64MiB`, `1GiB`, `512KiB`, `64MB` (decimal), `1048576`.
Result<std::uint64_t> parse_size(std::string_view text, std::string_view what);
std::string print_size(std::uint64_t bytes);
/// `TABLE:max-age=5`, `TABLE:swr=0,max-age=1`, `TABLE:no-cache`; TABLE is a glob.
Result<CacheRule> parse_cache_rule(std::string_view text);
std::string print_cache_rule(const CacheRule& rule);

}  // namespace hyperdrive::core
