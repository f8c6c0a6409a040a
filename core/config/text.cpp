#include "core/config/text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>

namespace hyperdrive::core {
namespace {

struct ModeName {
  SslMode mode;
  std::string_view postgres;
  std::string_view mysql;
};
// https://www.postgresql.org/docs/15/libpq-ssl.html table 34.1; MySQL's --ssl-mode has no `allow`.
constexpr std::array kModes = {
    ModeName{SslMode::kDisable, "disable", "DISABLED"},
    ModeName{SslMode::kAllow, "allow", ""},
    ModeName{SslMode::kPrefer, "prefer", "PREFERRED"},
    ModeName{SslMode::kRequire, "require", "REQUIRED"},
    ModeName{SslMode::kVerifyCa, "verify-ca", "VERIFY_CA"},
    ModeName{SslMode::kVerifyFull, "verify-full", "VERIFY_IDENTITY"},
};
constexpr std::string_view kPostgresModes =
    "disable, allow, prefer, require, verify-ca, verify-full";
constexpr std::string_view kMysqlModes =
    "DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The leading decimal number ("1", "1.5"); its length, or 0.
std::size_t number_length(std::string_view text) {
  std::size_t length = 0;
  bool point = false;
  while (length < text.size() && (is_digit(text[length]) || (text[length] == '.' && !point))) {
    point = point || text[length] == '.';
    ++length;
  }
  return length == 1 && point ? 0 : length;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// What stands after `0b` or `0o`, or nothing.
std::optional<std::int64_t> prefixed_number(std::string_view text) {
  if (text.size() < 3 || text[0] != '0') return std::nullopt;
  const int base = text[1] == 'b' || text[1] == 'B' ? 2 : text[1] == 'o' || text[1] == 'O' ? 8 : 0;
  if (base == 0) return std::nullopt;
  std::int64_t value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data() + 2, last, value, base);
  if (error != std::errc() || end != last || value < 0) return std::nullopt;
  return value;
}

/// A finite whole number in the notations of JavaScript's Number, or nothing.
std::optional<std::int64_t> whole_number(std::string_view text) {
  text = trimmed(text);
  if (const auto prefixed = prefixed_number(text)) return prefixed;
  const std::string copy(text);
  if (copy.empty() || copy.find_first_not_of("0123456789+-.eExXabcdefABCDEF") != std::string::npos)
    return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  if (*end != 0 || value != std::floor(value) || std::abs(value) > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

double to_double(std::string_view digits) {
  double value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

struct Unit {
  std::string_view name;
  double factor;
};

/// The factor of a unit, or 0.
template <std::size_t N>
double factor_of(const std::array<Unit, N>& units, std::string_view name) {
  for (const Unit& unit : units)
    if (same_ignoring_case(unit.name, name)) return unit.factor;
  return 0;
}

constexpr std::array kDurationUnits = {Unit{"ms", 1},        Unit{"s", 1000},
                                       Unit{"m", 60'000},    Unit{"min", 60'000},
                                       Unit{"h", 3'600'000}, Unit{"d", 86'400'000}};
constexpr std::array kSizeUnits = {Unit{"", 1},          Unit{"b", 1},          Unit{"kb", 1e3},
                                   Unit{"mb", 1e6},      Unit{"gb", 1e9},       Unit{"kib", 1024},
                                   Unit{"mib", 1 << 20}, Unit{"gib", 1u << 30}, Unit{"k", 1024},
                                   Unit{"m", 1 << 20},   Unit{"g", 1u << 30}};
constexpr double kMaxDuration = 366.0 * 86'400'000;
constexpr double kMaxSize = 1e15;

}  // namespace

Result<Scheme> parse_scheme(std::string_view text) {
  if (text == "postgres") return Scheme::kPostgres;
  if (text == "postgresql") return Scheme::kPostgresql;
  if (text == "mysql") return Scheme::kMysql;
  return usage(fmt::format("'{}' is not a scheme.", text),
               "Use one of postgres, postgresql, mysql.");
}

std::string_view scheme_name(Scheme scheme) {
  switch (scheme) {
    case Scheme::kPostgres:
      return "postgres";
    case Scheme::kPostgresql:
      return "postgresql";
    case Scheme::kMysql:
      return "mysql";
  }
  return "postgresql";
}

std::string_view scheme_name(const Origin& origin) {
  return origin.scheme_text.empty() ? scheme_name(origin.scheme)
                                    : std::string_view(origin.scheme_text);
}

std::string_view scheme_title(Scheme scheme) { return is_mysql(scheme) ? "MySQL" : "PostgreSQL"; }

Result<SslMode> parse_ssl_mode(std::string_view text, Scheme scheme) {
  const std::string_view allowed = is_mysql(scheme) ? kMysqlModes : kPostgresModes;
  for (const ModeName& entry : kModes) {
    const bool postgres = text == entry.postgres;
    const bool mysql = !entry.mysql.empty() && same_ignoring_case(text, entry.mysql);
    if (is_mysql(scheme) ? mysql : postgres) return entry.mode;
    if (!postgres && !mysql) continue;
    const std::string_view right = is_mysql(scheme) ? entry.mysql : entry.postgres;
    return usage(fmt::format("sslmode '{}' is a word of {}, but the scheme is {}.", text,
                             is_mysql(scheme) ? "PostgreSQL" : "MySQL", scheme_name(scheme)),
                 right.empty() ? fmt::format("Use one of {}.", allowed)
                               : fmt::format("Use --sslmode {}.", right));
  }
  return usage(fmt::format("'{}' is not an sslmode for {}.", text, scheme_title(scheme)),
               fmt::format("Use one of {}.", allowed));
}

std::string_view ssl_mode_name(SslMode mode, Scheme scheme) {
  for (const ModeName& entry : kModes)
    if (entry.mode == mode)
      return is_mysql(scheme) && !entry.mysql.empty() ? entry.mysql : entry.postgres;
  return "";
}

bool is_loopback(std::string_view host) {
  if (same_ignoring_case(host, "localhost") || same_ignoring_case(host, "localhost.")) return true;
  if (host.size() > 10 && same_ignoring_case(host.substr(host.size() - 10), ".localhost"))
    return true;
  if (host == "::1" || host == "[::1]" || host == "0:0:0:0:0:0:0:1" ||
      host.starts_with("::ffff:127."))
    return true;
  // Only an address: 127.example.com is a name of somebody else's.
  return host.starts_with("127.") &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

SslMode effective_ssl_mode(const Config& config) {
  if (config.tls.mode != SslMode::kDefault) return config.tls.mode;
  return is_loopback(config.origin.host) ? SslMode::kPrefer : SslMode::kRequire;
}

std::string resolvable_host(const Origin& origin) {
  const std::string& host = origin.host;
  std::string result;
  for (std::size_t i = 0; i < host.size(); ++i) {
    unsigned value = 0;
    const char* digits = host.data() + i + 1;
    if (host[i] == '%' && i + 2 < host.size() &&
        std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      result.push_back(static_cast<char>(value));
      i += 2;
    } else {
      result.push_back(host[i]);
    }
  }
  return result;
}

Result<std::int64_t> parse_integer(std::string_view text, std::string_view what, std::int64_t low,
                                   std::int64_t high) {
  const std::string range = high == INT64_MAX
                                ? fmt::format("a whole number of at least {}", low)
                                : fmt::format("a whole number from {} to {}", low, high);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    // What JavaScript's Number takes as well: `+5`, `1e2`, `0x10`, `0b11`, `60.0`, ` 5 `.
    const auto number = whole_number(text);
    if (!number) return usage(fmt::format("{} must be {}, not '{}'.", what, range, text));
    value = *number;
  }
  if (value >= low && value <= high) return value;
  return usage(fmt::format("{} must be {}, not '{}'.", what, range, text));
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view what) {
  auto value = parse_integer(text, what, 1, 65535);
  if (!value) return tl::unexpected(value.error());
  return static_cast<std::uint16_t>(*value);
}

Result<bool> parse_boolean(std::string_view text, std::string_view what) {
  for (const std::string_view yes : {"true", "on", "yes", "1"})
    if (same_ignoring_case(text, yes)) return true;
  for (const std::string_view no : {"false", "off", "no", "0"})
    if (same_ignoring_case(text, no)) return false;
  return usage(fmt::format("{} must be true or false, not '{}'.", what, text));
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text, std::string_view what) {
  const auto wrong = [&] {
    return usage(
        fmt::format("{} must be a duration such as 500ms, 30s, 5m or 1h, not '{}'.", what, text));
  };
  std::string_view rest = trimmed(text);
  double total = 0;
  if (rest.empty()) return wrong();
  while (!rest.empty()) {
    const std::size_t digits = number_length(rest);
    if (digits == 0) return wrong();
    const double number = to_double(rest.substr(0, digits));
    rest.remove_prefix(digits);
    std::size_t letters = 0;
    while (letters < rest.size() && !is_digit(rest[letters])) ++letters;
    const bool bare = letters == 0 && digits == trimmed(text).size();
    const double factor = bare ? 1000 : factor_of(kDurationUnits, rest.substr(0, letters));
    if (factor == 0) return wrong();
    total += number * factor;
    rest.remove_prefix(letters);
  }
  if (!(total <= kMaxDuration)) return wrong();
  return std::chrono::milliseconds(std::llround(total));
}

std::string print_duration(std::chrono::milliseconds value) {
  const auto count = value.count();
  if (count == 0) return "0";
  if (count % 3'600'000 == 0) return fmt::format("{}h", count / 3'600'000);
  if (count % 60'000 == 0) return fmt::format("{}m", count / 60'000);
  if (count % 1000 == 0) return fmt::format("{}s", count / 1000);
  return fmt::format("{}ms", count);
}

Result<std::uint64_t> parse_size(std::string_view text, std::string_view what) {
  const std::string_view whole = trimmed(text);
  const std::size_t digits = number_length(whole);
  const double factor = digits ? factor_of(kSizeUnits, trimmed(whole.substr(digits))) : 0;
  const double bytes = digits ? to_double(whole.substr(0, digits)) * factor : 0;
  if (factor == 0 || !(bytes <= kMaxSize))
    return usage(
        fmt::format("{} must be a size such as 64MiB, 512KiB or 1GiB, not '{}'.", what, text));
  return static_cast<std::uint64_t>(std::llround(bytes));
}

std::string print_size(std::uint64_t bytes) {
  if (bytes != 0 && bytes % (1u << 30) == 0) return fmt::format("{}GiB", bytes >> 30);
  if (bytes != 0 && bytes % (1u << 20) == 0) return fmt::format("{}MiB", bytes >> 20);
  if (bytes != 0 && bytes % 1024 == 0) return fmt::format("{}KiB", bytes >> 10);
  return fmt::format("{}", bytes);
}

Result<CacheRule> parse_cache_rule(std::string_view text) {
  constexpr std::string_view kHint =
      "Write TABLE:max-age=SECONDS, TABLE:swr=SECONDS or TABLE:no-cache, several with commas.";
  const auto wrong = [&](std::string_view why) {
    return usage(fmt::format("The cache rule '{}' {}.", text, why), std::string(kHint));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("has no ':' after the table");
  CacheRule rule;
  rule.table = std::string(trimmed(text.substr(0, colon)));
  if (rule.table.empty()) return wrong("names no table");
  std::string_view rest = text.substr(colon + 1);
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view part = trimmed(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::string_view name = part.substr(0, equals);
    const std::string_view value = part.substr(std::min(equals + 1, part.size()));
    if (name == "no-cache" && equals == part.size()) {
      rule.no_cache = true;
    } else if (name == "max-age" || name == "swr") {
      auto seconds =
          parse_integer(value, fmt::format("{} of the cache rule for {}", name, rule.table), 0,
                        name == "max-age" ? 3600 : INT32_MAX);
      if (!seconds) return tl::unexpected(seconds.error());
      (name == "swr" ? rule.stale_while_revalidate : rule.max_age) = static_cast<int>(*seconds);
    } else {
      return wrong(fmt::format("has '{}', which is not known", part));
    }
  }
  if (!rule.no_cache && !rule.max_age && !rule.stale_while_revalidate)
    return wrong("says nothing about the table");
  if (rule.no_cache && (rule.max_age || rule.stale_while_revalidate))
    return wrong("has no-cache together with a time");
  return rule;
}

std::string print_cache_rule(const CacheRule& rule) {
  if (rule.no_cache) return rule.table + ":no-cache";
  std::string text = rule.table + ":";
  if (rule.max_age) text += fmt::format("max-age={}", *rule.max_age);
  if (rule.stale_while_revalidate)
    text += fmt::format("{}swr={}", rule.max_age ? "," : "", *rule.stale_while_revalidate);
  return text;
}

}  // namespace hyperdrive::core
