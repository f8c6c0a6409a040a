#include "proxy/cache/flights.hpp"

#include <utility>

namespace hyperdrive::proxy::cache {

/// One question on its way to the origin. Everything in it is guarded by its own mutex; where both
/// are held, the field's lock is taken first.
struct Flight {
  struct Seat {
    std::uint64_t number;
    Wake wake;
  };

  std::mutex mutex;
  Flights::Field* field = nullptr;
  std::string key;
  std::vector<Mark*> marks;
  Stamp stamp = 0;
  std::list<Seat> seats;
  std::uint64_t next_seat = 0;
  bool landed = false;

  void leave_field(const std::shared_ptr<Flight>& self);
  std::list<Seat> land(const std::shared_ptr<Flight>& self);
};

/// Takes the flight off the board, so that newcomers start another.
void Flight::leave_field(const std::shared_ptr<Flight>& self) {
  std::lock_guard lock(field->mutex);
  const auto it = field->flights.find(key);
  if (it != field->flights.end() && it->second == self) field->flights.erase(it);
}

std::list<Flight::Seat> Flight::land(const std::shared_ptr<Flight>& self) {
  leave_field(self);
  std::lock_guard lock(mutex);
  landed = true;
  return std::exchange(seats, {});
}

// --- leader
// -----------------------------------------------------------------------------------------

Leader& Leader::operator=(Leader&& other) noexcept {
  if (this != &other) {
    fail();
    flight_ = std::move(other.flight_);
  }
  return *this;
}

Leader::~Leader() { fail(); }

void Leader::dispatch(Stamp now) {
  if (flight_ == nullptr) return;
  std::lock_guard lock(flight_->mutex);
  flight_->stamp = now;
}

void Leader::dispatch(Stamp now, std::span<Mark* const> marks) {
  if (flight_ == nullptr) return;
  std::lock_guard lock(flight_->mutex);
  flight_->stamp = now;
  flight_->marks.assign(marks.begin(), marks.end());
}

Stamp Leader::stamp() const { return flight_ == nullptr ? 0 : flight_->stamp; }

std::span<Mark* const> Leader::marks() const {
  return flight_ == nullptr ? std::span<Mark* const>{} : std::span<Mark* const>(flight_->marks);
}

void Leader::land(EntryRef entry) {
  const auto flight = std::exchange(flight_, nullptr);
  if (flight == nullptr) return;
  for (auto& seat : flight->land(flight)) seat.wake(Landing{entry, {}});
}

void Leader::refuse() { land({}); }

void Leader::fail() {
  const auto flight = std::exchange(flight_, nullptr);
  if (flight == nullptr) return;
  Wake heir;
  {
    std::lock_guard board(flight->field->mutex);
    std::lock_guard lock(flight->mutex);
    if (flight->seats.empty()) {
      flight->landed = true;
      const auto it = flight->field->flights.find(flight->key);
      if (it != flight->field->flights.end() && it->second == flight) {
        flight->field->flights.erase(it);
      }
      return;
    }
    heir = std::move(flight->seats.front().wake);
    flight->seats.pop_front();
  }
  heir(Landing{{}, Leader(flight)});
}

// --- follower
// ---------------------------------------------------------------------------------------

Follower& Follower::operator=(Follower&& other) noexcept {
  if (this != &other) {
    leave();
    flight_ = std::move(other.flight_);
    seat_ = other.seat_;
  }
  return *this;
}

void Follower::leave() {
  const auto flight = std::exchange(flight_, nullptr);
  if (flight == nullptr) return;
  std::lock_guard lock(flight->mutex);
  flight->seats.remove_if([&](const Flight::Seat& seat) { return seat.number == seat_; });
}

// --- board
// ------------------------------------------------------------------------------------------

Flights::Flights(MayJoin may_join)
    : may_join_(std::move(may_join)), fields_(std::make_unique<Field[]>(kFields)) {}

Flights::~Flights() = default;

Flights::Field& Flights::field(Bytes key) const { return fields_[hash_key(key) % kFields]; }

Boarding Flights::board(Bytes key, std::span<Mark* const> marks, Stamp now, Wake wake) {
  Field& home = field(key);
  std::lock_guard board(home.mutex);
  auto& slot = home.flights[std::string(key)];
  if (slot != nullptr) {
    std::lock_guard lock(slot->mutex);
    if (!slot->landed && may_join_(slot->stamp, slot->marks) && may_join_(slot->stamp, marks)) {
      const std::uint64_t seat = slot->next_seat++;
      slot->seats.push_back({seat, std::move(wake)});
      return {{}, Follower(slot, seat)};
    }
  }
  slot = std::make_shared<Flight>();
  slot->field = &home;
  slot->key = key;
  slot->marks.assign(marks.begin(), marks.end());
  slot->stamp = now;
  return {Leader(slot), {}};
}

std::optional<Leader> Flights::lead(Bytes key, std::span<Mark* const> marks, Stamp now) {
  Field& home = field(key);
  std::lock_guard board(home.mutex);
  auto [it, added] = home.flights.try_emplace(std::string(key));
  if (!added) return std::nullopt;
  it->second = std::make_shared<Flight>();
  it->second->field = &home;
  it->second->key = key;
  it->second->marks.assign(marks.begin(), marks.end());
  it->second->stamp = now;
  return Leader(it->second);
}

std::size_t Flights::in_the_air() const {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < kFields; ++i) {
    std::lock_guard lock(fields_[i].mutex);
    sum += fields_[i].flights.size();
  }
  return sum;
}

}  // namespace hyperdrive::proxy::cache
