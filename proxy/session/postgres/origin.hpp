// One connection to the origin, as Postgres: what it owes, what it has prepared, what its session
// there looks like.
//
//   parked    in the pool; any byte but a ParameterStatus or Notice retires it
//   leased    `owner_` is the client that receives the replies
//   finishing its client has left, or it needs cleaning: replies are swallowed, an open transaction
//             is rolled back, leftovers are removed; then it goes home to the pool
//
// Belongs to its worker's thread. Owned by the pool, the client's lease, or Worker::finish.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/net/stream.hpp"
#include "proxy/pool/origin_connection.hpp"
#include "proxy/session/postgres/in_flight.hpp"
#include "proxy/session/postgres/pending_writes.hpp"
#include "proxy/session/postgres/settings.hpp"
#include "proxy/session/postgres/worker.hpp"
#include "proxy/wire/postgres/build.hpp"

namespace hyperdrive::proxy::session::postgres {

/// What a client left behind that must not outlive its lease.
struct Leftovers {
  bool temporary_objects = false;
  bool locks = false;
  bool listens = false;
  bool cursors = false;
  bool prepared = false;       ///< SQL-level PREPARE
  bool anything = false;       ///< DO, CALL, what was not understood
  bool hidden = false;         ///< a function, trigger or rule ran: what it did is not known
  bool seed = false;           ///< setseed(): the random numbers to come are known
  bool hurry = false;          ///< a statement_timeout under which the next settings may fail
  bool beyond_repair = false;  ///< LOAD: only a new connection is clean

  bool any() const {
    return temporary_objects || locks || listens || cursors || prepared || anything || hidden ||
           seed || hurry;
  }
};

class Origin final : public pool::OriginConnection, public net::StreamHandler {
 public:
  struct Identity {
    std::uint32_t process_id = 0;
    std::string cancel_key;
    SettingsRef reports;
    std::shared_ptr<const OriginTarget> target;  ///< where a cancel goes, whatever a reload says
  };
  Origin(Worker& worker, std::unique_ptr<net::Stream> stream, Identity identity);
  ~Origin() override;

  // --- pool::OriginConnection
  bool is_reusable() const override;
  void park() override;
  void unpark() override;
  void detach(std::function<void(bool alive)> done) override;
  void attach(std::size_t worker) override;
  void retire(std::unique_ptr<OriginConnection> self, std::function<void()> closed) override;

  // --- net::StreamHandler
  std::size_t on_data(net::Bytes data) override;
  void on_closed(net::CloseReason reason) override;
  void on_drained() override;

  // --- lease
  void lease_to(Client& client);
  /// Its client leaves; the connection goes home by itself, now or when its work is finished.
  /// `rest_missing`: a message was cut in the middle, so nothing can follow it.
  static void send_home(std::unique_ptr<Origin> self, bool rest_missing);
  /// Everything sent was answered, no transaction, no open pipeline.
  bool at_rest() const;
  /// It owes an answer.
  bool busy() const { return !in_flight_.empty(); }
  bool usable() const { return !broken_; }
  bool fatal_seen() const { return fatal_seen_; }
  /// Part of a row is with the client: whatever is written to it now would become its rest.
  bool mid_row() const { return rest_ > 0 && rest_forwards_; }

  // --- sending
  net::Stream& stream() { return *stream_; }
  InFlight& in_flight() { return in_flight_; }
  PreparedOnOrigin& prepared() { return prepared_; }
  /// How long the owner waited for this lease, until that has been counted.
  std::chrono::steady_clock::duration waited() const { return waited_; }
  void write(net::Bytes bytes);
  Expected& expect(ReplyKind kind, ReplyAction action = ReplyAction::kForward);
  /// Makes replies of entries that were only pretended, as far as their turn has come.
  void answer_fakes();
  /// Sends what takes this connection's settings to `wants`; false: nothing was needed.
  bool apply(const SettingsRef& wants);
  /// Likewise in an open pipeline, whose transaction they become a part of; false: not possible.
  bool apply_in_pipeline(const SettingsRef& wants);
  /// Of the proxy's own, under names of its own: what is unnamed stays as it is.
  void run_in_pipeline(std::string_view sql);
  /// Ends a pipeline in which there is nothing of the client's.
  void end_own_pipeline();
  void expect_settings_reset();
  /// The client's own RESET ALL, which leaves whom the session is, and its DISCARD ALL.
  void expect_reset_all();
  void expect_discard_all();
  /// Has the origin drop every statement of this connection, ahead of what is sent next: after a
  /// change of the schema the old ones may go on reading what their names meant before.
  void forget_statements();

  wire::postgres::TransactionStatus status() const { return status_; }
  bool ignoring() const { return ignoring_; }
  void set_ignoring(bool ignoring) { ignoring_ = ignoring; }
  bool copying_in() const { return copying_in_; }
  void copy_ended();
  /// A Sync was sent while the origin, as far as is known, takes COPY data.
  void sync_in_copy() { ++copy_syncs_; }
  /// Has it shown how many of those Syncs are answered; its owner waits for that.
  Expected& find_syncs();
  bool finding_syncs() const { return finding_syncs_; }
  /// A message that was passed on in slices is whole.
  void rest_sent();
  /// Syncs were sent in a COPY that has not ended yet.
  bool has_ignored_syncs() const { return copy_syncs_ > 0; }
  void set_open(bool open) { open_ = open; }
  /// A pipeline was begun and flushed, and has been answered so far: its owner decides what next.
  bool at_flush() const {
    return open_ && in_flight_.empty() && !ignoring_ && !copying_in_ && rest_ == 0 &&
           status_ == wire::postgres::TransactionStatus::kIdle;
  }
  bool open() const { return open_; }
  /// Its client has left and nothing but the proxy's own cleaning runs.
  bool is_being_cleaned() const { return cleaning_; }

  /// Whose unnamed statement the origin has: kNone, kSomeones, or the serial of a client's Parse.
  static constexpr std::uint64_t kNone = 0, kSomeones = 1;
  std::uint64_t unnamed_serial = kNone;  ///< once everything sent has succeeded
  std::uint64_t unnamed_period = 0;      ///< of `prepared()`, if it was parsed provisionally
  Leftovers left;
  std::uint64_t sequences_of = 0;  ///< Client::serial() of who last moved a sequence on it
  PendingWrites writes;            ///< kept by the gate
  /// The gate's clock when the present lease began. What runs in it may see the schema as it was
  /// then: a backend keeps what it knows of a table that it has locked, until its transaction ends.
  cache::Stamp leased_at = 0;
  std::uint64_t catalog_generation = 0;  ///< kept by the gate: its statements are no older
  void mark_dirty(std::string_view setting);
  /// All but `names` are believed to be as they should, until they are marked again, and these to
  /// be unset; no names: none.
  std::vector<std::string> set_dirty_aside(const std::vector<std::string>& names);
  /// Likewise, of whom the session is.
  std::vector<std::string> set_identity_aside();
  void mark_settings_unknown() { left.anything = true; }

  const Identity& identity() const { return identity_; }
  const SettingsRef& reports() const { return identity_.reports; }
  const SettingsRef& applied() const { return applied_; }
  std::chrono::steady_clock::time_point last_reply() const { return last_reply_; }
  /// When it was last free to begin with what is first in the queue.
  std::chrono::steady_clock::time_point last_ready() const { return last_ready_; }
  std::chrono::steady_clock::time_point last_heard_or_told() const {
    return std::max(last_reply_, last_write_);
  }
  int cancels_running = 0;
  void cancel_ended();
  std::chrono::steady_clock::time_point finishing_since{};
  bool cancelled_late = false;
  /// What runs was cancelled at --query-timeout: its error says so, not that somebody asked for it.
  bool over_limit = false;

 private:
  enum class Pass : std::uint8_t { kForward, kSwallow, kReplace, kBroken };

  Pass handle(const wire::postgres::Header& header, net::Bytes body);
  Pass completed(ReplyKind kind);
  Pass described(const wire::postgres::Header& header, net::Bytes body);
  void learn(const Statement& statement, const Shape& shape);
  Pass command_complete(net::Bytes body);
  Pass empty_query();
  Pass copy_in_begins();
  Pass error(net::Bytes body);
  Pass ready(net::Bytes body);
  Pass parameter_status(net::Bytes body);
  Pass asynchronous(const wire::postgres::Header& header);
  void fail_segment();
  void tell(Expected& entry, net::Bytes tag, net::Bytes error);
  void undo(Expected& entry, bool failed_itself);
  bool unnamed_in_flight();
  void drop_copy_syncs();
  void ask_for_syncs();
  Pass ready_of_syncs(wire::postgres::TransactionStatus status);
  Pass copy_broken(net::Bytes error_body, Pass pass);
  bool forwards() const;
  void to_client(net::Bytes bytes);
  void settle();
  void finish_step();
  bool hurries() const;
  std::string cleaning() const;
  std::size_t on_parked_data(net::Bytes data);
  void tell_home_owner(net::Bytes error);
  void lost();

  Worker* worker_;
  std::unique_ptr<net::Stream> stream_;
  Client* owner_ = nullptr;
  InFlight in_flight_;
  PreparedOnOrigin prepared_;
  Identity identity_;
  std::uint64_t unnamed_there_ = kNone;  // likewise, as the replies say
  SettingsRef applied_;
  std::vector<std::string> dirty_;
  std::string replacement_;
  std::string last_tag_;           // of a simple Query's statements, for its event
  std::string last_error_;         // likewise
  std::uint64_t answer_rows_ = 0;  // since the last event
  std::uint64_t answer_bytes_ = 0;
  std::chrono::steady_clock::time_point last_reply_{};
  std::chrono::steady_clock::time_point last_ready_{};
  std::chrono::steady_clock::time_point last_write_{};
  std::chrono::steady_clock::duration waited_{};  // of the owner for this lease; then zero
  std::size_t copy_syncs_ = 0;  // sent in the present COPY: ignored, or not if it fails before them
  std::size_t rest_ = 0;        // bytes of the present message still to come
  wire::postgres::TransactionStatus status_ = wire::postgres::TransactionStatus::kIdle;
  bool rest_forwards_ = false;
  bool open_ = false;      // extended messages since the last Sync
  bool ignoring_ = false;  // the origin skips everything up to the next Sync
  bool copying_in_ = false;
  bool copy_began_ = false;  // since the last settle(), even if its data are over already
  bool finding_syncs_ = false;
  bool asks_behind_rest_ = false;  // which of them were answered
  bool ready_held_ = false;  // a ReadyForQuery came, and may be the answer to the proxy's own Sync
  bool parked_ = false;
  bool finishing_ = false;
  bool cleaning_ = false;  // what its client left is being removed
  bool broken_ = false;
  bool in_on_data_ = false;
  bool fatal_seen_ = false;
};

}  // namespace hyperdrive::proxy::session::postgres
