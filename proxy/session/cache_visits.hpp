// What a cache gate remembers of its clients between calls, and their waits: both protocols alike.
//
// A wait is for another client's answer, for the shared tier, or for the catalogs, and always ends:
// by what it is for, or by its time. It goes by a ticket, since what it is for may come when it has
// ended, when the client has gone, or when the gate has. At its end the client asks again.
//
// On the gate's worker, but for what ender() and ender_of_next() make.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_map.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "proxy/cache/flights.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/session/shared_tier.hpp"

namespace hyperdrive::proxy::session {

/// Most clients have none, idle ones never. Each protocol adds its own, and says by is_busy() what
/// else must not be forgotten.
struct CacheVisit {
  std::uint64_t ticket = 0;                       ///< of the wait under way; 0: none
  std::chrono::steady_clock::time_point since{};  ///< when the question's first wait began
  bool waited = false;  ///< for another's answer to this question: do not wait again
  bool waited_for_catalogs = false;
  bool announcing = false;  ///< a write waits until the shared tier knows of it
  cache::Follower follower;
  std::unique_ptr<net::Timer> timer;
  cache::Landing landing;
  std::optional<SharedTier::Verdict> verdict;  ///< what the shared tier said of this question
};

template <class Client, class Visit>
class CacheVisits {
 public:
  /// `retry` is called at the end of a wait.
  CacheVisits(net::Loop& loop, void (Client::*retry)())
      : loop_(loop), retry_(retry), self_(std::make_shared<CacheVisits*>(this)) {}
  ~CacheVisits() { *self_ = nullptr; }
  CacheVisits(const CacheVisits&) = delete;
  CacheVisits& operator=(const CacheVisits&) = delete;

  bool empty() const { return visits_.empty(); }
  /// References stay valid until the client is forgotten.
  Visit& of(Client& client) { return visits_[&client]; }
  /// Null: nothing is remembered.
  Visit* find(Client& client) {
    const auto at = visits_.find(&client);
    return at == visits_.end() ? nullptr : &at->second;
  }

  // --- waits
  Visit& wait(Client& client, std::chrono::milliseconds time) {
    Visit& visit = of(client);
    visit.ticket = next_ticket_++;
    visit.waited = true;
    if (visit.since == std::chrono::steady_clock::time_point{}) visit.since = loop_.now();
    waits_.emplace(visit.ticket, &client);
    visit.timer = loop_.timer([this, ticket = visit.ticket] { end(ticket, {}); });
    visit.timer->arm(time);
    return visit;
  }
  /// Until they are known, once for each question.
  template <class Keeper>
  void await_catalogs(Client& client, Keeper& keeper, std::chrono::milliseconds time) {
    Visit& visit = wait(client, time);
    visit.waited = false;
    visit.waited_for_catalogs = true;
    keeper.when_known(ender(visit));
  }
  /// Ends the wait under way; to be called once, on any thread.
  auto ender(const Visit& visit) const { return ender_of(visit.ticket); }
  /// For a wait that may begin while its end is under way already.
  auto ender_of_next() const { return ender_of(next_ticket_); }
  /// As ender(), for what comes on the gate's worker. The shared tier may bring a verdict.
  auto ender_here(const Visit& visit) const {
    return [self = self_, ticket = visit.ticket](std::optional<SharedTier::Verdict> verdict = {}) {
      if (*self != nullptr) (*self)->end_by_tier(ticket, std::move(verdict));
    };
  }

  /// How long the question at hand has waited so far.
  std::chrono::steady_clock::duration time_waited(Client& client) {
    const Visit* visit = find(client);
    const bool waited = visit != nullptr && visit->since != std::chrono::steady_clock::time_point{};
    return waited ? loop_.now() - visit->since : std::chrono::steady_clock::duration{};
  }
  bool has_waited(Client& client) {
    const Visit* visit = find(client);
    return visit != nullptr && visit->waited;
  }
  bool has_waited_for_catalogs(Client& client) {
    const Visit* visit = find(client);
    return visit != nullptr && visit->waited_for_catalogs;
  }
  /// Null: the shared tier has not been asked about the question at hand.
  SharedTier::Verdict* verdict(Client& client) {
    Visit* visit = find(client);
    return visit == nullptr || !visit->verdict ? nullptr : &*visit->verdict;
  }
  /// What the wait has brought.
  cache::Landing take_landing(Client& client) {
    Visit* visit = find(client);
    return visit == nullptr ? cache::Landing{} : std::exchange(visit->landing, {});
  }

  // --- forgetting
  /// The question has its answer, or is on its way to the origin.
  void question_ended(Client& client) {
    Visit* visit = find(client);
    if (visit == nullptr) return;
    visit->waited = visit->waited_for_catalogs = false;
    visit->since = {};
    visit->verdict.reset();
    forget_if_idle(client);
  }
  void forget_if_idle(Client& client) {
    if (visits_.empty()) return;
    const auto at = visits_.find(&client);
    if (at == visits_.end()) return;
    if (at->second.ticket == 0 && !at->second.is_busy()) visits_.erase(at);
  }
  void forget(Client& client) {
    const auto at = visits_.find(&client);
    if (at == visits_.end()) return;
    if (at->second.ticket != 0) waits_.erase(at->second.ticket);
    visits_.erase(at);
  }

 private:
  auto ender_of(std::uint64_t ticket) const {
    return [self = self_, loop = &loop_, ticket](cache::Landing landing = {}) {
      auto arrived = std::make_shared<cache::Landing>(std::move(landing));
      loop->post([self, ticket, arrived] {
        if (*self != nullptr) (*self)->end(ticket, std::move(*arrived));
      });
    };
  }

  void end_by_tier(std::uint64_t ticket, std::optional<SharedTier::Verdict> verdict) {
    const auto at = waits_.find(ticket);
    if (at == waits_.end()) return;
    if (verdict) of(*at->second).verdict = std::move(verdict);
    end(ticket, {});
  }

  void end(std::uint64_t ticket, cache::Landing landing) {
    const auto at = waits_.find(ticket);
    if (at == waits_.end()) return;  // gone; a lead that was handed over passes on
    Client& client = *at->second;
    waits_.erase(at);
    Visit& visit = of(client);
    visit.ticket = 0;
    visit.follower.leave();
    visit.landing = std::move(landing);
    // A timer must not be destroyed by its own call.
    loop_.defer([timer = std::shared_ptr<net::Timer>(std::move(visit.timer))] {});
    (client.*retry_)();
  }

  net::Loop& loop_;
  void (Client::*retry_)();
  boost::unordered_map<Client*, Visit> visits_;  // references stay valid
  boost::unordered_flat_map<std::uint64_t, Client*> waits_;
  std::uint64_t next_ticket_ = 1;
  std::shared_ptr<CacheVisits*> self_;  // for what comes when the gate has gone
};

}  // namespace hyperdrive::proxy::session
