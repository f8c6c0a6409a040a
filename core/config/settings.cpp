#include "core/config/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/config/percent.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core {
namespace {

/// A flag's name as a template argument, so that each row of the table has plain function pointers.
template <std::size_t N>
struct Flag {
  char text[N];
  consteval Flag(const char (&from)[N]) { std::copy_n(from, N, text); }
  std::string_view name() const { return {text, N - 1}; }
};

template <auto kMember>
bool same(const LocalSettings& one, const LocalSettings& other) {
  return one.*kMember == other.*kMember;
}

template <Flag kFlag, auto kMember, std::int64_t kLow, std::int64_t kHigh>
Result<void> set_integer(LocalSettings& settings, std::string_view text) {
  auto value = parse_integer(text, kFlag.name(), kLow, kHigh);
  if (!value) return tl::unexpected(value.error());
  using Type = std::remove_reference_t<decltype(settings.*kMember)>;
  settings.*kMember = static_cast<Type>(*value);
  return {};
}

template <auto kMember>
std::string get_integer(const LocalSettings& settings) {
  return std::to_string(settings.*kMember);
}

template <Flag kFlag, auto kMember, std::int64_t kLow, std::int64_t kHigh>
Result<void> set_duration(LocalSettings& settings, std::string_view text) {
  auto value = parse_duration(text, kFlag.name());
  if (!value) return tl::unexpected(value.error());
  if (value->count() < kLow || value->count() > kHigh)
    return usage(fmt::format("{} must be from {} to {}, not '{}'.", kFlag.name(),
                             print_duration(std::chrono::milliseconds(kLow)),
                             print_duration(std::chrono::milliseconds(kHigh)), text));
  settings.*kMember = *value;
  return {};
}

template <auto kMember>
std::string get_duration(const LocalSettings& settings) {
  return print_duration(settings.*kMember);
}

template <Flag kFlag, auto kMember>
Result<void> set_boolean(LocalSettings& settings, std::string_view text) {
  auto value = parse_boolean(text, kFlag.name());
  if (!value) return tl::unexpected(value.error());
  settings.*kMember = *value;
  return {};
}

template <auto kMember>
std::string get_boolean(const LocalSettings& settings) {
  return settings.*kMember ? "true" : "false";
}

template <Flag kFlag, auto kMember>
Result<void> set_text(LocalSettings& settings, std::string_view text) {
  for (const unsigned char c : text)
    if (c < 0x20 || c == 0x7f)
      return usage(fmt::format("{} contains a control character.", kFlag.name()));
  if (!is_utf8(text)) return usage(fmt::format("{} is not UTF-8 text.", kFlag.name()));
  settings.*kMember = std::string(text);
  return {};
}

template <auto kMember>
std::string get_text(const LocalSettings& settings) {
  return settings.*kMember;
}

/// Choices in the order of their enum's values from zero.
constexpr std::array<std::string_view, 3> kInvalidations = {"none", "writes", "replication"};
constexpr std::array<std::string_view, 2> kSessionFeatures = {"hyperdrive", "pin"};

template <std::size_t N>
Result<std::size_t> choose(const std::array<std::string_view, N>& choices, std::string_view text,
                           std::string_view what) {
  const auto found = std::find(choices.begin(), choices.end(), text);
  if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
  return usage(
      fmt::format("{} must be one of {}, not '{}'.", what, fmt::join(choices, ", "), text));
}

Result<void> set_invalidation(LocalSettings& settings, std::string_view text) {
  auto choice = choose(kInvalidations, text, "invalidation");
  if (!choice) return tl::unexpected(choice.error());
  settings.invalidation = static_cast<Invalidation>(*choice);
  return {};
}

std::string get_invalidation(const LocalSettings& settings) {
  return std::string(kInvalidations[static_cast<std::size_t>(settings.invalidation)]);
}

Result<void> set_session_features(LocalSettings& settings, std::string_view text) {
  auto choice = choose(kSessionFeatures, text, "session-features");
  if (!choice) return tl::unexpected(choice.error());
  settings.session_features = static_cast<SessionFeatures>(*choice);
  return {};
}

std::string get_session_features(const LocalSettings& settings) {
  return std::string(kSessionFeatures[static_cast<std::size_t>(settings.session_features)]);
}

Result<void> set_cache_size(LocalSettings& settings, std::string_view text) {
  auto bytes = parse_size(text, "cache-size");
  if (!bytes) return tl::unexpected(bytes.error());
  if (*bytes < (1u << 20) || *bytes > (1ull << 40))
    return usage(fmt::format("cache-size must be from 1MiB to 1024GiB, not '{}'.", text));
  settings.cache_size = *bytes;
  return {};
}

std::string get_cache_size(const LocalSettings& settings) {
  return print_size(settings.cache_size);
}

Result<void> set_cache_rules(LocalSettings& settings, std::string_view text) {
  std::vector<CacheRule> rules;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    auto rule = parse_cache_rule(line);
    if (!rule) return tl::unexpected(rule.error());
    rules.push_back(std::move(*rule));
  }
  settings.cache_rules = std::move(rules);
  return {};
}

std::string get_cache_rules(const LocalSettings& settings) {
  std::string text;
  for (const CacheRule& rule : settings.cache_rules)
    text += (text.empty() ? "" : "\n") + print_cache_rule(rule);
  return text;
}

bool same_cache_rules(const LocalSettings& one, const LocalSettings& other) {
  return (one.cache_rules.empty() && other.cache_rules.empty()) ||
         get_cache_rules(one) == get_cache_rules(other);
}

Result<void> set_verify_sample(LocalSettings& settings, std::string_view text) {
  double value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 1))
    return usage(fmt::format("verify-sample must be a number from 0 to 1, not '{}'.", text));
  settings.verify_sample = value;
  return {};
}

std::string get_verify_sample(const LocalSettings& settings) {
  return fmt::format("{}", settings.verify_sample);
}

/// `host[:port][/db]`: the port and the number of the database.
Result<void> check_redis_place(std::string_view place) {
  const std::size_t slash = std::min(place.find('/'), place.size());
  if (slash + 1 < place.size()) {
    if (auto db = parse_integer(place.substr(slash + 1), "The database of cache-url", 0, 1'000'000);
        !db)
      return tl::unexpected(db.error());
  }
  const std::string_view host = place.substr(0, slash);
  const std::size_t bracket = host.rfind(']');
  const std::size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket))
    return {};
  if (auto port = parse_integer(host.substr(colon + 1), "The port of cache-url", 1, 65535); !port)
    return tl::unexpected(port.error());
  return {};
}

/// `redis://[[user]:password@]host[:port][/db]`: the password goes into `cache_password`, the rest
/// is kept as written. A URL without a password leaves the stored one when the rest is the same.
Result<void> set_cache_url(LocalSettings& settings, std::string_view text) {
  constexpr std::string_view kScheme = "redis://";
  const auto wrong = [] {
    return usage("cache-url is not a URL such as redis://127.0.0.1:6379/0.");
  };
  if (text.empty()) {
    settings.cache_url.clear();
    settings.cache_password = Secret();
    return {};
  }
  if (!text.starts_with(kScheme) || !is_utf8(text)) return wrong();
  std::string_view rest = text.substr(kScheme.size());
  const std::size_t at = rest.rfind('@');
  std::string user;
  Secret password;
  if (at != std::string_view::npos) {
    const std::string_view login = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    const std::size_t colon = std::min(login.find(':'), login.size());
    auto plain = percent_decode(login.substr(std::min(colon + 1, login.size())));
    if (!plain) return wrong();
    user = std::string(login.substr(0, colon));
    password = Secret(std::move(*plain));
  }
  if (rest.empty() || rest[0] == '/' || rest[0] == ':' ||
      rest.find_first_of(" ?#") != std::string_view::npos)
    return wrong();
  if (auto valid = check_redis_place(rest); !valid) return valid;
  std::string url = fmt::format("{}{}{}{}", kScheme, user, user.empty() ? "" : "@", rest);
  if (password.empty() && url != settings.cache_url) settings.cache_password = Secret();
  if (!password.empty()) settings.cache_password = std::move(password);
  settings.cache_url = std::move(url);
  return {};
}

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kDay = 86'400 * kSecond;
using L = LocalSettings;
using Kind = SettingKind;

constexpr std::array kSettings = {
    Setting{"local_port", "local-port", "PORT", Kind::kInteger, "0-65535",
            "The proxy's own port on loopback; 0 at create: the next free one, kept from then on.",
            false, set_integer<"local-port", &L::local_port, 0, 65535>, get_integer<&L::local_port>,
            same<&L::local_port>},
    Setting{
        "invalidation", "invalidation", "MODE", Kind::kChoice, "none|writes|replication",
        "What drops cached entries before their time: nothing, writes through the proxy, or the "
        "origin's replication stream.",
        true, set_invalidation, get_invalidation, same<&L::invalidation>},
    Setting{
        "session_features", "session-features", "MODE", Kind::kChoice, "hyperdrive|pin",
        "LISTEN, SQL-level PREPARE, session SET and the like: refused or lost as in production, "
        "or the session keeps its connection.",
        true, set_session_features, get_session_features, same<&L::session_features>},
    Setting{"cache_size", "cache-size", "SIZE", Kind::kSize, "1MiB-1024GiB",
            "Memory for cached responses.", true, set_cache_size, get_cache_size,
            same<&L::cache_size>},
    Setting{"cache_rules", "cache-rule", "TABLE:RULE", Kind::kList,
            "max-age=0-3600, swr=0-…, no-cache",
            "What holds for reads of a table (a glob): 'orders:max-age=5', 'audit.*:no-cache'.",
            true, set_cache_rules, get_cache_rules, same_cache_rules},
    Setting{"cache_url", "cache-url", "URL", Kind::kSecretUrl, "redis://host:port/db",
            "A Redis or Valkey as a second cache tier that proxies of the same origin share "
            "(docs/shared-cache.md).",
            false, set_cache_url, get_text<&L::cache_url>, same<&L::cache_url>},
    Setting{"verify_sample", "verify-sample", "SHARE", Kind::kNumber, "0-1",
            "The share of cache hits that is asked again at the origin and compared.", true,
            set_verify_sample, get_verify_sample, same<&L::verify_sample>},
    Setting{"connect_timeout", "connect-timeout", "DURATION", Kind::kDuration, "100ms-1h",
            "How long connecting to the origin, TLS and login included, may take.", true,
            set_duration<"connect-timeout", &L::connect_timeout, 100, 3600 * kSecond>,
            get_duration<&L::connect_timeout>, same<&L::connect_timeout>},
    Setting{"wait_timeout", "wait-timeout", "DURATION", Kind::kDuration, "1ms-1h",
            "How long a client waits for a connection of the pool.", true,
            set_duration<"wait-timeout", &L::wait_timeout, 1, 3600 * kSecond>,
            get_duration<&L::wait_timeout>, same<&L::wait_timeout>},
    Setting{"query_timeout", "query-timeout", "DURATION", Kind::kDuration, "0-24h",
            "The longest a query may run; 0: no limit.", true,
            set_duration<"query-timeout", &L::query_timeout, 0, kDay>,
            get_duration<&L::query_timeout>, same<&L::query_timeout>},
    Setting{"idle_timeout", "idle-timeout", "DURATION", Kind::kDuration, "1s-24h",
            "An origin connection without work is closed after this time.", true,
            set_duration<"idle-timeout", &L::idle_timeout, kSecond, kDay>,
            get_duration<&L::idle_timeout>, same<&L::idle_timeout>},
    Setting{"max_lifetime", "max-lifetime", "DURATION", Kind::kDuration, "10s-168h",
            "An origin connection is replaced after this time (with jitter).", true,
            set_duration<"max-lifetime", &L::max_lifetime, 10 * kSecond, 7 * kDay>,
            get_duration<&L::max_lifetime>, same<&L::max_lifetime>},
    Setting{"client_write_timeout", "client-write-timeout", "DURATION", Kind::kDuration, "1s-1h",
            "A client that does not read its answers is cut after this time.", true,
            set_duration<"client-write-timeout", &L::client_write_timeout, kSecond, 3600 * kSecond>,
            get_duration<&L::client_write_timeout>, same<&L::client_write_timeout>},
    Setting{"transaction_idle_timeout", "transaction-idle-timeout", "DURATION", Kind::kDuration,
            "0-24h",
            "A transaction, an open pipeline or a COPY without a word from the client for this "
            "time is ended; 0: never.",
            true, set_duration<"transaction-idle-timeout", &L::transaction_idle_timeout, 0, kDay>,
            get_duration<&L::transaction_idle_timeout>, same<&L::transaction_idle_timeout>},
    Setting{"drain_timeout", "drain-timeout", "DURATION", Kind::kDuration, "0-1h",
            "How long running work may go on after stop or restart.", true,
            set_duration<"drain-timeout", &L::drain_timeout, 0, 3600 * kSecond>,
            get_duration<&L::drain_timeout>, same<&L::drain_timeout>},
    Setting{"max_clients", "max-clients", "NUMBER", Kind::kInteger, "1-1000000",
            "Clients connected at the same time; further ones are refused with 53300.", true,
            set_integer<"max-clients", &L::max_clients, 1, 1'000'000>, get_integer<&L::max_clients>,
            same<&L::max_clients>},
    Setting{"prepared_statements", "prepared-statements", "NUMBER", Kind::kInteger, "0-100000",
            "Prepared statements kept on each origin connection.", true,
            set_integer<"prepared-statements", &L::prepared_statements, 0, 100'000>,
            get_integer<&L::prepared_statements>, same<&L::prepared_statements>},
    Setting{"workers", "workers", "NUMBER", Kind::kInteger, "0-64",
            "Threads of the proxy; 0: as many as there are cores, at most 4.", false,
            set_integer<"workers", &L::workers, 0, 64>, get_integer<&L::workers>,
            same<&L::workers>},
    Setting{"fold_begin", "fold-begin", "", Kind::kBoolean, "true|false",
            "Postgres: BEGIN is answered at once and sent with the first statement behind it.",
            true, set_boolean<"fold-begin", &L::fold_begin>, get_boolean<&L::fold_begin>,
            same<&L::fold_begin>},
    Setting{"scram_rounds", "scram-rounds", "NUMBER", Kind::kInteger, "1-1000000",
            "Iterations of SCRAM-SHA-256 for the local login.", true,
            set_integer<"scram-rounds", &L::scram_rounds, 1, 1'000'000>,
            get_integer<&L::scram_rounds>, same<&L::scram_rounds>},
    Setting{"listen", "listen", "ADDRESS", Kind::kText, "an IP address",
            "Listen on this address instead of loopback only; needs a TLS certificate.", false,
            set_text<"listen", &L::listen>, get_text<&L::listen>, same<&L::listen>},
    Setting{"tls_cert", "tls-cert", "FILE", Kind::kPath, "a PEM file",
            "The certificate that the proxy shows to its clients.", true,
            set_text<"tls-cert", &L::tls_cert_file>, get_text<&L::tls_cert_file>,
            same<&L::tls_cert_file>},
    Setting{"tls_key", "tls-key", "FILE", Kind::kPath, "a PEM file",
            "The key of --tls-cert; read when the proxy starts, at a reload and on SIGHUP.", true,
            set_text<"tls-key", &L::tls_key_file>, get_text<&L::tls_key_file>,
            same<&L::tls_key_file>},
    Setting{"admin_port", "admin-port", "PORT", Kind::kInteger, "0-65535",
            "Dashboard and Prometheus metrics on this loopback port; 0: only the Unix socket.",
            false, set_integer<"admin-port", &L::admin_port, 0, 65535>, get_integer<&L::admin_port>,
            same<&L::admin_port>},
};

/// `idleTimeout`, `idle-timeout` and `idle_timeout` are one name.
std::string folded(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (c == '-' || c == '_') continue;
    result.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return result;
}

}  // namespace

std::span<const Setting> settings() { return kSettings; }

const Setting* find_setting(std::string_view name) {
  const std::string wanted = folded(name);
  for (const Setting& setting : kSettings)
    if (folded(setting.key) == wanted || folded(setting.flag) == wanted) return &setting;
  return nullptr;
}

std::string default_text(const Setting& setting) { return setting.get(LocalSettings{}); }

std::string settings_markdown() {
  std::string text =
      "| flag | JSON key | default | range | at once | what it does |\n|---|---|---|---|---|---|\n";
  const auto cell = [](std::string_view value) {
    std::string escaped;
    for (const char c : value) escaped += c == '|' ? std::string("\\|") : std::string(1, c);
    return escaped;
  };
  for (const Setting& setting : kSettings) {
    const std::string value = default_text(setting);
    text += fmt::format("| `--{}{}{}` | `{}` | {} | {} | {} | {} |\n", setting.flag,
                        setting.value.empty() ? "" : " ", setting.value, setting.key,
                        value.empty() ? "none" : fmt::format("`{}`", value), cell(setting.range),
                        setting.live ? "yes" : "restart", cell(setting.help));
  }
  return text;
}

}  // namespace hyperdrive::core
