// The cache's place in a Postgres session: answers groups from memory, captures the answers of
// others, tells the epochs of writes (group.hpp says when it is called).
//
// One per worker, on its thread; Cache and CacheKeeper are shared by all workers. In the order of a
// cached read's life:
//
//   offer ── not for the cache ───────────────► forward; will_run labels it with the reason
//     ├── found, fresh or stale ──────────────► answered (stale: and asked again, cache_own.cpp)
//     ├── somebody else is asking just now ───► wait for that answer, a bounded time
//     └── nobody is ──────────────────────────► lead: forward, capture, keep, wake the followers
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/cache/cache.hpp"
#include "proxy/session/cache_visits.hpp"
#include "proxy/session/postgres/cache_answer.hpp"
#include "proxy/session/postgres/cache_keeper.hpp"
#include "proxy/session/postgres/cache_plan.hpp"
#include "proxy/session/postgres/cache_shape.hpp"
#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/contexts.hpp"
#include "proxy/session/postgres/group.hpp"
#include "proxy/session/postgres/worker.hpp"

namespace hyperdrive::proxy::session::postgres {

class CacheTap;

class CacheGate final : public Gate {
 public:
  /// How long a follower waits for somebody else's answer, and a first query for the catalogs.
  static constexpr std::chrono::milliseconds kFollow{1'000};
  static constexpr std::chrono::milliseconds kAwaitCatalogs{2'000};
  static constexpr std::chrono::milliseconds kAwaitCatalogsUncached{250};

  CacheGate(Worker& worker, cache::Cache& cache, CacheKeeper& keeper, Contexts& contexts,
            SharedTier& tier);
  ~CacheGate() override;

  Offer offer(Client& client, net::Bytes group) override;
  void leased(Origin& origin) override;
  bool may_run(Client& client, TextInfo& text) override;
  void will_run(Client& client, TextInfo& text) override;
  void will_bind(Client& client, TextInfo& text) override;
  bool may_call(Client& client) override;
  void will_call(Client& client) override;
  void ready(Client& client, wire::postgres::TransactionStatus status) override;
  void gone(Client& client) override;
  void shape_changed(TextInfo& text) override;
  void settle(Origin& origin) override;
  void orphaned(Origin& origin) override;

 private:
  friend class CacheTap;

  struct Label {
    sql::CacheStatus status = sql::CacheStatus::kUncacheable;
    std::string reason;
  };
  struct Visit : CacheVisit {
    std::optional<Label> label;   ///< of the group that is being forwarded
    std::weak_ptr<CacheTap> tap;  ///< likewise
    bool describing = false;      ///< holds a connection only to have a statement described
    bool is_busy() const { return label || describing; }
  };
  /// Whoever has the same settings and has been told the same shares answers.
  struct Sharers {
    SettingsRef settings, reports;
    std::string context;
  };
  /// A question of the gate's own, asked through a client that is nobody.
  struct Own {
    cache::EntryRef entry;  ///< to be refreshed, or compared; gone with the answer's tap
    cache::Leader leader;
    bool refreshes = false;
  };
  /// A group, looked up.
  struct Question {
    GroupShape shape;
    TextRef text;
    std::string_view types;  ///< declared, as in Parse
    Shape told;
    const TextPlan* plan = nullptr;
  };

  bool ask(Client& client, net::Bytes group, Question& question);
  std::optional<Label> refusal(const Question& question, net::Bytes group);
  Offer look_up(Client& client, const Question& question);
  // cache_own.cpp: questions of the gate's own
  void ask_origin(Client& client, const Question& question, Own own);
  void refresh(Client& client, const Question& question, const cache::Found& found);
  bool is_sampled();
  void verify(Client& client, const Question& question, const cache::Found& found);
  Offer offer_own(Client& client, net::Bytes group, Own& own);
  void own_gone(Client& client);
  // cache_tier.cpp: the tier shared with other proxies
  std::optional<Offer> consult(Client& client, const Question& question, cache::Found& found);
  Offer ask_tier(Client& client, const Question& question, bool wants_answer);
  bool announced(Client& client);
  void take_back_announcement(Client& client);
  void share(const std::string& key, const CacheTap& tap);

  Offer answered(Client& client, const Question& question, const cache::Found& result,
                 const cache::Found& description);
  Offer missed(Client& client, const Question& question, cache::Leader leader, bool held);
  bool is_describing(Client& client);
  Offer offer_uncached(Client& client);
  Offer await_catalogs(Client& client, std::chrono::milliseconds time);
  const std::string& context(Client& client);
  void landed(CacheTap& tap, bool clean);
  void keep_description(CacheTap& tap);
  Label classify(Client& client, TextInfo& text);
  void mark_writes(Client& client, const Plan& plan);
  void change_schema(PendingWrites& writes);
  void run_uncached(Client& client, TextInfo& text);
  bool may_hide(const TextInfo& text);
  void widen_writes(Origin& origin);
  std::vector<std::string> tables_written(const Plan& plan);
  void announce_hit(Client& client, const Question& question, const cache::Found& found,
                    std::size_t bytes);
  void announce_difference(const TextInfo& text, const cache::EntryRef& entry);
  std::string stale_reason(const cache::Found& found);

  Worker& worker_;
  cache::Cache& cache_;
  CacheKeeper& keeper_;
  Contexts& contexts_;
  SharedTier& tier_;
  Planner planner_;
  CacheVisits<Client, Visit> visits_;
  boost::unordered_map<std::pair<const SettingSet*, const SettingSet*>, Sharers> sharers_;
  std::shared_ptr<const Options> options_;  // when sharers_ were made: who asks the origin, where
  boost::unordered_flat_map<Client*, Own> owns_;
  std::uint64_t dice_;
  std::string result_key_, description_key_, types_, scratch_;
  std::shared_ptr<CacheGate*> self_;  // for what other threads post back
};

}  // namespace hyperdrive::proxy::session::postgres
