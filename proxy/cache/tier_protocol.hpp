// What a shared tier keeps in Redis: names, scripts, and how an answer looks there. Pure functions.
//
//   hd:SPACE:e:MARK   the epoch of a table (or tag, or the database): a text that never comes
//   twice.
//                     Every announcement, commit and purge sets a new one, so an epoch that Redis
//                     has lost or evicted can never be mistaken for an old one
//   hd:SPACE:i:MARK   the writes under way: a sorted set, intent -> when its lease ends (Redis'
//   clock) hd:SPACE:a:HASH   an answer with the epochs its tables had before its query was sent
//
// An answer counts only if those are still the epochs and no write is under way; one script reads
// all of that at one instant.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/cache/epochs.hpp"

namespace hyperdrive::proxy::cache::tier {

/// Longer answers stay in each proxy's own memory.
inline constexpr std::size_t kMaxAnswer = 4u << 20;
/// A proxy that died leaves its writes open for at most this long; it renews them four times
/// within.
inline constexpr std::chrono::milliseconds kLease{60'000};

/// Proxies share answers if they have the same origin and the same promise of freshness.
std::string space(std::string_view origin, std::string_view promise);
std::string epoch_key(std::string_view space, const Mark& mark);
std::string intents_key(std::string_view space, const Mark& mark);
std::string answer_key(std::string_view space, std::string_view key);

/// KEYS: answer, then epoch and intents of each mark. ARGV: a new epoch for those that have none,
/// or a write whose process is gone and whose end nobody has told; 1 to fetch the answer. Gives
/// {open, epochs joined by ',', answer or nil, its rest of life in ms}.
extern const std::string_view kCheck;
/// KEYS: epoch and intents of each mark. ARGV: new epoch, intent, lease in ms. Gives the epochs
/// before, joined by ','; the new one of KEYS[n] is ARGV[1].n.
extern const std::string_view kAnnounce;
/// Likewise, but sets no new epochs.
extern const std::string_view kRenew;
/// Likewise. ARGV: new epoch, intent, 1 if it may have been committed.
extern const std::string_view kSettle;

struct Answer {
  std::string_view key, epochs, head, tail, rows;
  std::uint64_t row_count = 0;
  std::chrono::microseconds cost{0};
  std::chrono::milliseconds life{0};  ///< from its birth to the end of stale-while-revalidate
};
std::string encode(const Answer& answer);
/// Nothing for whatever is not exactly such an answer. Views into `bytes`.
std::optional<Answer> decode(std::string_view bytes);

}  // namespace hyperdrive::proxy::cache::tier
