// Single flight: of all who miss on the same key at the same time, one asks the origin.
//
// The first to board leads; the others follow and are woken once, from whatever thread the leader
// is on. What a leader can bring home:
//   - an answer: all followers get it, stored or not;
//   - nothing (an error, a lost link, the leader gone): one follower becomes the leader, the others
//     keep waiting for that one. Errors are never shared;
//   - something that must not be shared (too big, with a notice): all followers go themselves.
//
// A newcomer may only follow a leader whose query was sent after every write the newcomer may know
// of: `may_join` (given by cache.hpp) compares epochs, of what the flight depends on and of what
// the newcomer says it does. If it says no, the newcomer leads a flight of its own, and later ones
// follow that.
//
// How long a follower waits is its own matter: destroying the Follower leaves the flight.
#pragma once

#include <array>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/cache/entry.hpp"

namespace hyperdrive::proxy::cache {

class Flights;
struct Flight;
struct Landing;

/// Called at most once, from any thread, with no lock held. Must not block: typically it posts to
/// the follower's loop. Not called any more once the Follower's destructor has returned.
using Wake = std::function<void(Landing)>;

/// The duty to bring an answer home. Destroying it unfulfilled is a failure (see above).
class Leader {
 public:
  Leader() = default;
  Leader(Leader&&) noexcept = default;
  Leader& operator=(Leader&& other) noexcept;
  ~Leader();

  explicit operator bool() const { return flight_ != nullptr; }
  /// The query is about to be sent: takes `now` as its stamp instead of the time of boarding.
  void dispatch(Stamp now);
  /// The same, and what the answer depends on, as this leader knows it: an heir may know better
  /// than who boarded first.
  void dispatch(Stamp now, std::span<Mark* const> marks);
  Stamp stamp() const;
  std::span<Mark* const> marks() const;

  void land(EntryRef entry);  ///< everybody gets it
  void fail();                ///< one follower leads
  void refuse();              ///< everybody goes alone

 private:
  friend class Flights;
  explicit Leader(std::shared_ptr<Flight> flight) : flight_(std::move(flight)) {}
  std::shared_ptr<Flight> flight_;
};

/// A place among those who wait.
class Follower {
 public:
  Follower() = default;
  Follower(Follower&&) noexcept = default;
  Follower& operator=(Follower&& other) noexcept;
  ~Follower() { leave(); }

  explicit operator bool() const { return flight_ != nullptr; }
  void leave();

 private:
  friend class Flights;
  Follower(std::shared_ptr<Flight> flight, std::uint64_t seat)
      : flight_(std::move(flight)), seat_(seat) {}
  std::shared_ptr<Flight> flight_;
  std::uint64_t seat_ = 0;
};

/// What a woken follower gets: an answer, or the lead, or neither (ask the origin yourself).
struct Landing {
  EntryRef entry;
  Leader leader;
};

/// What a newcomer gets: exactly one of the two.
struct Boarding {
  Leader leader;
  Follower follower;
};

class Flights {
 public:
  using MayJoin = std::function<bool(Stamp, std::span<Mark* const>)>;

  explicit Flights(MayJoin may_join);
  ~Flights();
  Flights(const Flights&) = delete;
  Flights& operator=(const Flights&) = delete;

  Boarding board(Bytes key, std::span<Mark* const> marks, Stamp now, Wake wake);
  /// Leads if nobody else flies for this key; for background refreshes.
  std::optional<Leader> lead(Bytes key, std::span<Mark* const> marks, Stamp now);
  std::size_t in_the_air() const;

 private:
  friend class Leader;
  friend class Follower;
  friend struct Flight;
  struct Field {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::shared_ptr<Flight>> flights;
  };
  Field& field(Bytes key) const;

  static constexpr std::size_t kFields = 16;
  MayJoin may_join_;
  std::unique_ptr<Field[]> fields_;
};

}  // namespace hyperdrive::proxy::cache
