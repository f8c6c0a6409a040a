#include "proxy/session/postgres/settings.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>
#include <mutex>

#include "proxy/session/postgres/setting_text.hpp"
#include "proxy/session/postgres/statements.hpp"

namespace hyperdrive::proxy::session::postgres {
namespace {

constexpr std::string_view kApplicationName = "application_name";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Where equal sets become one. Dead entries are swept when the table has doubled.
class SettingTable {
 public:
  SettingsRef intern(std::vector<SettingSet::Pair> pairs) {
    if (pairs.empty()) return nullptr;
    const std::lock_guard lock(mutex_);
    auto& slot = sets_[pairs];
    if (SettingsRef known = slot.lock()) return known;
    auto fresh = std::make_shared<SettingSet>();
    fresh->pairs_ = std::move(pairs);
    slot = fresh;
    if (sets_.size() > sweep_at_) sweep();
    return fresh;
  }

 private:
  void sweep() {
    std::erase_if(sets_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<std::size_t>(1024, sets_.size() * 2);
  }
  std::mutex mutex_;
  std::map<std::vector<SettingSet::Pair>, std::weak_ptr<const SettingSet>> sets_;
  std::size_t sweep_at_ = 1024;
};

const std::string* SettingSet::find(std::string_view name) const {
  const auto at = std::lower_bound(pairs_.begin(), pairs_.end(), name,
                                   [](const Pair& p, std::string_view n) { return p.first < n; });
  return at != pairs_.end() && at->first == name ? &at->second : nullptr;
}

SettingsRef intern(std::vector<SettingSet::Pair> pairs) {
  static SettingTable table;
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  // Of equal names the last one counts, as in Postgres.
  std::vector<SettingSet::Pair> distinct;
  for (auto& pair : pairs) {
    if (!distinct.empty() && distinct.back().first == pair.first) {
      distinct.back() = std::move(pair);
    } else {
      distinct.push_back(std::move(pair));
    }
  }
  return table.intern(std::move(distinct));
}

SettingsRef with(const SettingsRef& base, std::string_view name, std::string_view value) {
  if (const std::string* has = base ? base->find(name) : nullptr; has && *has == value) return base;
  auto pairs = base ? base->pairs() : std::vector<SettingSet::Pair>{};
  pairs.emplace_back(name, value);
  return intern(std::move(pairs));
}

SettingsRef without(const SettingsRef& base, std::string_view name) {
  if (!base || base->find(name) == nullptr) return base;
  auto pairs = base->pairs();
  std::erase_if(pairs, [&](const auto& pair) { return pair.first == name; });
  return intern(std::move(pairs));
}

SettingsRef with_those_of(SettingsRef base, const SettingsRef& values,
                          const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const std::string* value = values ? values->find(name) : nullptr;
    base = value != nullptr ? with(base, name, *value) : without(base, name);
  }
  return base;
}

SettingsRef merged(const SettingsRef& base, const SettingsRef& over) {
  if (!over) return base;
  if (!base) return over;
  auto pairs = base->pairs();
  pairs.insert(pairs.end(), over->pairs().begin(), over->pairs().end());
  return intern(std::move(pairs));
}

bool is_tracked(std::string_view name) {
  static constexpr std::array<std::string_view, 25> kTracked = {
      "application_name",
      "bytea_output",
      "client_encoding",
      "client_min_messages",
      "datestyle",
      "default_tablespace",
      "default_transaction_deferrable",
      "default_transaction_isolation",
      "default_transaction_read_only",
      "extra_float_digits",
      "idle_in_transaction_session_timeout",
      "intervalstyle",
      "lc_messages",
      "lc_monetary",
      "lc_numeric",
      "lc_time",
      "lock_timeout",
      "role",
      "row_security",
      "search_path",
      "standard_conforming_strings",
      "statement_timeout",
      "synchronous_commit",
      "timezone",
      "transform_null_equals"};
  return std::binary_search(kTracked.begin(), kTracked.end(), name);
}

bool is_identity(std::string_view name) {
  return name == "role" || name == "session_authorization";
}

SettingsRef identity_of(const SettingsRef& settings) {
  if (!settings) return nullptr;
  auto pairs = settings->pairs();
  std::erase_if(pairs, [](const auto& pair) { return !is_identity(pair.first); });
  return intern(std::move(pairs));
}

bool may_be_reset_by_name(std::string_view name) {
  return name == "session_authorization" || (is_tracked(name) && name != "lc_messages");
}

bool decides_reading(std::string_view name) {
  static constexpr std::array<std::string_view, 26> kReadAlike = {
      "application_name",
      "client_min_messages",
      "commit_delay",
      "constraint_exclusion",
      "default_tablespace",
      "default_transaction_deferrable",
      "default_transaction_isolation",
      "default_transaction_read_only",
      "effective_cache_size",
      "idle_in_transaction_session_timeout",
      "idle_session_timeout",
      "lc_messages",
      "lock_timeout",
      "maintenance_work_mem",
      "plan_cache_mode",
      "random_page_cost",
      "statement_timeout",
      "synchronous_commit",
      "temp_buffers",
      "temp_tablespaces",
      "transaction_deferrable",
      "transaction_isolation",
      "transaction_read_only",
      "transaction_snapshot",
      "transaction_timeout",
      "work_mem"};
  if (std::binary_search(kReadAlike.begin(), kReadAlike.end(), name)) return false;
  // How a plan is found, not what it gives.
  return !name.starts_with("enable_") && !name.starts_with("jit") && !name.starts_with("geqo");
}

std::uint64_t parse_fingerprint(const SettingsRef& settings) {
  if (!settings) return 0;
  // Most clients of a worker want the same.
  static thread_local std::pair<SettingsRef, std::uint64_t> last;
  if (last.first == settings) return last.second;
  std::uint64_t hash = 0;
  for (const auto& [name, value] : settings->pairs()) {
    if (!decides_reading(name)) continue;
    hash = mix(hash, std::hash<std::string_view>{}(name));
    hash = mix(hash, std::hash<std::string_view>{}(value));
  }
  last = {settings, hash};
  return hash;
}

bool can_be_kept(std::string_view name, std::string_view value) {
  return is_tracked(name) && (is_ascii(value) || name == kApplicationName);
}

namespace {

/// Whether the origin could refuse now what it has taken before: the value names something that may
/// be gone, or needs a right that may be, or bytes that mean nothing in the present encoding.
bool may_be_refused(const SettingSet::Pair& pair) {
  static constexpr std::array<std::string_view, 19> kAlwaysTaken = {
      "application_name",
      "bytea_output",
      "client_encoding",
      "client_min_messages",
      "datestyle",
      "default_transaction_deferrable",
      "default_transaction_isolation",
      "default_transaction_read_only",
      "extra_float_digits",
      "idle_in_transaction_session_timeout",
      "intervalstyle",
      "lock_timeout",
      "row_security",
      "search_path",
      "standard_conforming_strings",
      "statement_timeout",
      "synchronous_commit",
      "timezone",
      "transform_null_equals"};
  const auto& [name, value] = pair;
  // It ends what is set behind it.
  if (name == "statement_timeout" && is_short_timeout(value)) return true;
  return !std::binary_search(kAlwaysTaken.begin(), kAlwaysTaken.end(), std::string_view(name)) ||
         std::any_of(value.begin(), value.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

}  // namespace

bool must_be_confirmed(const SettingsRef& wants) {
  return wants && std::any_of(wants->pairs().begin(), wants->pairs().end(), may_be_refused);
}

namespace {

/// Words of `options`, split at blanks, with backslash as escape (pg_split_opts).
std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while (at < text.size()) {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at]))) ++at;
    if (at == text.size()) break;
    std::string word;
    for (; at < text.size() && !std::isspace(static_cast<unsigned char>(text[at])); ++at) {
      if (text[at] == '\\' && ++at == text.size()) break;
      word += text[at];
    }
    words.push_back(std::move(word));
  }
  return words;
}

core::Result<void> read_options(std::string_view text, std::vector<SettingSet::Pair>& out) {
  const auto words = split_options(text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string assignment;
    if (words[i] == "-c") {
      if (++i < words.size()) assignment = words[i];
    } else if (words[i].starts_with("-c")) {
      assignment = words[i].substr(2);
    } else if (words[i].starts_with("--")) {
      assignment = words[i].substr(2);
    } else {
      return core::fail("invalid command-line argument for server process: " + words[i],
                        "The proxy takes -c name=value and --name=value.");
    }
    const auto equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0) {
      return core::fail("-c " + assignment + " requires a value", "Write -c name=value.");
    }
    std::string name = lower(assignment.substr(0, equals));
    std::replace(name.begin(), name.end(), '-', '_');
    out.emplace_back(std::move(name), assignment.substr(equals + 1));
  }
  return {};
}

}  // namespace

core::Result<SettingsRef> startup_settings(const wire::postgres::StartupParameters& startup) {
  std::vector<SettingSet::Pair> pairs;
  if (auto read = read_options(startup.get("options"), pairs); !read) {
    return tl::unexpected(read.error());
  }
  for (const auto& [name, value] : startup.values) {
    if (name == "user" || name == "database" || name == "options" || name == "replication")
      continue;
    pairs.emplace_back(lower(name), value);
  }
  for (const auto& [name, value] : pairs) {
    if (is_ascii(name)) continue;
    return core::fail("invalid configuration parameter name \"" + name + '"',
                      "The proxy takes names of ASCII letters only.");
  }
  return intern(std::move(pairs));
}

bool is_short_timeout(std::string_view value) {
  constexpr double kLongEnough = 2'000;  // ms
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1}, {"us", 0.001}, {"ms", 1}, {"s", 1e3}, {"min", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}};
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc()) return true;
  value.remove_prefix(static_cast<std::size_t>(end - value.data()));
  while (value.starts_with(' ')) value.remove_prefix(1);
  while (value.ends_with(' ')) value.remove_suffix(1);
  for (const auto& [unit, milliseconds] : kUnits) {
    if (value == unit) return number != 0 && number * milliseconds < kLongEnough;
  }
  return true;
}

}  // namespace hyperdrive::proxy::session::postgres
