// One client's conversation: startup, login, then messages until it leaves.
//
// Owned by its Worker; belongs to that worker's thread. An idle client owns no buffer and no
// connection: only its names, settings and identity.
//
// Ready: groups of messages are relayed as they arrive (relay.cpp, extended.cpp). Whatever cannot
// go on now leaves its bytes unread in the stream and says why in `block_`; the event that ends the
// block resumes reading, and the same bytes are looked at again. So nothing is queued here.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/net/stream.hpp"
#include "proxy/pool/pool.hpp"
#include "proxy/session/postgres/features.hpp"
#include "proxy/session/postgres/origin.hpp"
#include "proxy/session/postgres/worker.hpp"
#include "proxy/wire/postgres/frontend.hpp"
#include "proxy/wire/postgres/sqlstate.hpp"

namespace hyperdrive::proxy::session::postgres {

/// State of a login that nobody needs afterwards.
struct Login;

class Client final : public net::StreamHandler, public pool::Waiter {
 public:
  Client(Worker& worker, std::unique_ptr<net::Stream> stream);
  ~Client() override;

  // --- net::StreamHandler
  std::size_t on_data(net::Bytes data) override;
  bool on_end_ahead() override;
  void on_closed(net::CloseReason reason) override;
  void on_drained() override;

  // --- pool::Waiter
  void granted(std::unique_ptr<pool::OriginConnection> connection) override;
  void refused(const pool::Refusal& refusal) override;
  void stayed_away() override;
  bool suits(const pool::OriginConnection& connection) const override;
  bool misses(const pool::OriginConnection& connection) const override;

  // --- from its origin connection
  net::Stream& stream() { return *stream_; }
  void to_client(net::Bytes bytes);
  /// A statement of `text` is complete: its effect on the session.
  void completed(TextInfo& text, std::size_t statement, net::Bytes tag);
  void failed(const Expected& entry, net::Bytes error_body);
  /// Another error than the origin's, where the proxy's doings are behind it.
  std::optional<std::string> said_instead(const Expected& failed,
                                          const wire::postgres::ErrorFields& error);
  /// For those who listen to events: a statement is over. `error`: of an ErrorResponse, or empty.
  void tell(const Expected& entry, net::Bytes tag_body, net::Bytes error, std::uint64_t rows,
            std::uint64_t bytes);
  /// Likewise of one that was answered here, with an error, and never reached the origin.
  void tell_refused(net::Bytes sql, std::string_view sqlstate, std::string_view message);
  void tell_untold(net::Bytes sql);
  bool told_of() const { return !own_ && worker_.service.telemetry.listening(); }
  void unnamed_parsed(const Expected& entry);
  void unnamed_failed();  ///< there is none any more
  void query_done();
  void undo_parse(const Expected& entry);
  void undo_close(Expected& entry);
  void restore_unnamed();
  void described(Expected& entry, const Shape& shape);
  void checked(Expected& entry, const Shape& now);
  void check_gone();
  void bind_failed(const Expected& bind);
  void unnamed_bind_failed();
  void settings_applied(bool ok, net::Bytes error_body);
  /// What the client is told instead of a ParameterStatus; nothing: the message itself.
  std::optional<std::string> report(const SettingsRef& reports, std::string_view name);
  /// ReadyForQuery is about to be passed on.
  void ready(wire::postgres::TransactionStatus status);
  void replies_drained();
  void replies_came();  ///< not all of them
  void copy_begun();    ///< what was sent before the data has no replies to wait for
  void await_syncs();
  void origin_writable();
  /// The lease is over: the connection is clean and at rest.
  void lease_over();
  /// As lease_over(), for a session that keeps its connection.
  void came_to_rest();
  void origin_lost();
  bool pinned() const { return pins_ != 0; }
  /// Its settings hold now, and what waited for them is about to be sent: this lease is for that.
  /// If it ended here, and ended with a cleaning, the settings would have to be sent again, for
  /// ever.
  bool goes_on() const { return goes_on_; }
  /// The origin has got the beginning of a message: whatever it said meanwhile, the rest must
  /// follow before anything else may.
  bool mid_message() const { return streaming_ > 0 && !streaming_drops_; }

  // --- for the gate
  Worker& worker() { return worker_; }
  std::uint32_t id() const { return process_id_; }
  /// Never another client's.
  std::uint64_t serial() const { return serial_; }
  void moved_sequences_on(Origin& origin);
  /// How long it waited for the origin connection that it gets now; asked once.
  std::chrono::steady_clock::duration take_wait() { return std::exchange(waited_, {}); }
  /// For the gate: the group that goes on now has waited there, too.
  void has_waited(std::chrono::steady_clock::duration time) { waited_ += time; }
  /// What a client's name means now; the empty name is the unnamed statement.
  struct Meaning {
    TextRef text;
    StatementRef statement;  ///< null: no declared types
    Shape told;
    bool found = false;
  };
  Meaning meaning(std::string_view statement_name) const;
  const SettingsRef& settings() const { return settings_; }
  const SettingsRef& reports() const { return told_; }
  /// Takes note of a group that was answered from memory: its Parse, and what it was told of it.
  void adopt(net::Bytes group, const Shape& told);
  /// The connection in use; null between transactions.
  void adopt_description(net::Bytes describe_body, const Shape& told);
  Origin* lease() const { return lease_.get(); }
  bool in_transaction_block() const { return in_transaction(); }
  void retry_group();
  bool features_pin() const;
  /// What became of the present statement at the cache, for its event.
  void set_cache_outcome(sql::CacheStatus status, std::string reason);
  void set_tables_written(std::vector<std::string> tables);

  // --- for a question of the proxy's own (own_query.hpp)
  /// Asks what its stream holds, as `other` would ask it.
  void ask_in_place_of(const Client& other);
  void end_of_own_query() { leave(); }
  bool is_own() const { return own_; }

  // --- for the worker
  void sweep(std::chrono::steady_clock::time_point now);
  /// The proxy ends: leaves as soon as no transaction is open.
  void shut_down();
  bool idle() const { return phase_ == Phase::kReady && !lease_ && !waiting(); }
  /// Somebody with our key wants the running statement cancelled. `done`: when that has been passed
  /// on; false: nothing runs.
  bool cancel(std::function<void()> done);
  void end_of_cancel() { close_politely(); }
  void home_terminated(const std::string& error);
  void abandon();
  /// The proxy has waited long enough for it to leave.
  void time_is_up();
  std::list<std::unique_ptr<Client>>::iterator self;

 private:
  enum class Phase : std::uint8_t {
    kStartup,
    kEncrypting,
    kSasl,
    kProfile,
    kReady,
    kCancel,
    kGone
  };
  enum class Block : std::uint8_t {
    kNone,
    kLease,     ///< waits for an origin connection
    kReplies,   ///< waits for all replies in flight
    kCheck,     ///< waits for the description of a re-parsed statement
    kSettings,  ///< waits for settings that must hold before anything runs
    kPressure,  ///< the origin does not read fast enough
    kGate,      ///< the gate waits for somebody else's answer
    kReader,    ///< the client does not read what it was answered
  };
  enum class Step : std::uint8_t { kDone, kBlocked, kGone };
  enum class Asked : std::uint8_t { kNothing, kTls, kGss };  // of encryption, last
  struct Unnamed {
    TextRef text;
    StatementRef statement;  // null: no declared types
    std::uint64_t serial = 0;
    Shape told;
    bool unchecked = false;  // parsed anew since, and not compared with what was told
    bool outdated = false;   // it was, and differs
  };
  struct Message {
    wire::postgres::Header header;
    net::Bytes whole;  // with its header
    net::Bytes body;
    net::Bytes rest;  // what follows it in its group
  };
  struct Portal {
    TextRef text;
    NamedRef named;
    std::uint64_t bind = 0;       // which Bind made it
    std::uint64_t statement = 0;  // of `named`, as it was then
    bool spent = false;  // its statement was answered here, so the origin does not know that it ran
    bool sent = false;   // the origin has run it, though it might have been answered here
  };
  struct Session;  // what few sessions have: see below

  // login.cpp
  std::size_t startup(net::Bytes data);
  std::size_t encryption_request(const wire::postgres::StartupRead& read, net::Bytes data);
  void direct_tls(net::Bytes data);
  void unsupported(wire::postgres::Version version);
  void begin_login(const wire::postgres::StartupRead& read);
  void offer_sasl();
  std::size_t sasl(net::Bytes data);
  void sasl_step(net::Bytes body);
  void wrong_password();
  void authenticated();
  void seek_home();
  void seek_profile();
  void arrived(std::unique_ptr<Origin> origin);
  void learn_profile();
  void welcome();
  void cancel_request(const wire::postgres::CancelRequest& request);

  // relay.cpp
  std::size_t relay(net::Bytes data);
  std::size_t stream_rest(net::Bytes data);
  std::size_t run_group(net::Bytes group, bool whole);
  Step message(const Message& message);
  Step query(const Message& message);
  void query_sent();
  Step sync(const Message& message);
  Step flush(const Message& message);
  Step function_call(const Message& message);
  Step copy(const Message& message);
  Step begin_big(const Message& message);
  Step malformed(const Message& message);
  bool offered(net::Bytes group, Step& step);
  bool need_origin();
  void reapplies(bool everything);
  bool is_reset(std::string_view setting) const;
  void reapply();
  bool resets(const sql::Statement& statement) const;
  Step wait_for_gate();
  bool skipping() const;
  bool skips_whole_group();
  bool depends_on_replies(net::Bytes group, bool whole) const;
  bool breaks_copy(const Message& message) const;
  bool answers_are_coming() const;
  void cannot_read(char type, std::string_view what);
  Step break_copy(char type);
  bool owes_many_replies() const;
  bool may_begin_copy(net::Bytes messages) const;
  bool awaits_reset(const wire::postgres::Header& header) const;
  void await_replies();
  void forward(net::Bytes bytes);
  void expect_run(ReplyKind kind, TextRef text);
  void protocol_violation(std::string_view what);

  // fold.cpp
  struct Lone;
  std::optional<Lone> lone_statement(net::Bytes group) const;
  bool begin_answered(net::Bytes group);
  bool end_answered(net::Bytes group);
  void forget_begin();
  void lose_begin();
  bool refused_as_failed(const Message& message);
  void answer_lone(const Lone& lone, net::Bytes group, std::string_view tag);
  wire::postgres::TransactionStatus status() const;
  void send_begin();

  // extended.cpp
  Step parse(const Message& message);
  Step bind(const Message& message);
  Step describe(const Message& message);
  Step execute(const Message& message);
  Step close_name(const Message& message);
  bool parse_known(const wire::postgres::Parse& parse, const TextRef& text);
  Step parse_named(const Message& message, const wire::postgres::Parse& parse, TextRef text);
  Step begin_anew();
  Step bind_unnamed(const Message& message, const wire::postgres::BindNames& names);
  Step bind_named(const Message& message, const wire::postgres::BindNames& names,
                  const NamedRef& named);
  bool is_outdated(Named& named);
  Step bind_unknown(const Message& message, std::string_view name);
  void refuse_unknown(std::string_view name);
  void fail_surely(const wire::postgres::ErrorFields& error);
  Step ensure_prepared(const NamedRef& named, net::Bytes rest);
  bool prepare_unnamed();
  const Shape& prepare(Named& named);
  Step ensure_unnamed(net::Bytes rest);
  Step check(std::string_view name, const NamedRef& named);
  Expected& probe(const wire::postgres::Parse& parse, ReplyAction action);
  void close_probe();
  bool may_be_by_sql(std::string_view name) const;
  void try_name(const wire::postgres::Parse& parse);
  void refuse_name(const wire::postgres::Parse& parse);
  bool in_failed_transaction() const;
  void parse_again(const wire::postgres::Parse& parse, const NamedRef& existing);
  void inject(const Named& named);
  void make_room();
  void close_on_origin(std::uint64_t id);
  Expected& prepare_on_origin(const StatementRef& statement, std::uint64_t told,
                              ReplyAction action);
  void outdated(const NamedRef& named);
  void retire(const Statement& statement);
  void unnamed_checked(bool so);
  void plan_changed();
  Expected& poison(std::string_view sqlstate, std::string_view text, std::string_view hint = {});
  void forward_extended(net::Bytes bytes);
  Portal find_portal(std::string_view name) const;
  const Portal* portal_named(std::string_view name) const;
  Portal* portal_named(std::string_view name);
  bool portal_uncertain(const Portal& portal) const;
  void end_portals();
  void sent_there(std::string_view portal);
  Expected& expect_portal(std::string_view name, TextRef text, const NamedRef& named);

  // reading.cpp
  StatementRef statement_for(TextInfo& text, std::span<const std::uint32_t> types);
  StatementRef statement_for(TextInfo& text, const wire::postgres::Oids& types);
  const Shape* shape_there(Named& named);
  void note_reading(const Findings& findings);
  std::uint64_t reading();
  std::uint64_t own_number();

  // session_state.cpp
  Step apply_policy(const Message& message, TextInfo& text, bool& handled);
  Step clean_up(const Message& message, TextInfo& text, const sql::Statement& statement,
                bool& handled);
  Step deallocate_there(std::string_view name, TextInfo& text);
  Step refuse(const Message& message, TextInfo& text, const Refused& refusal);
  Step refuse_with(const Message& message, std::string_view sqlstate, const std::string& text);
  Step answer_here(const Message& message, std::string_view tag);
  Step own_sequences();
  void forget_sequences();
  Expected& poison_query(std::string_view sqlstate, std::string_view text, std::string_view hint);
  void note(const Findings& findings);
  bool in_transaction() const;
  void forget_all();
  void discarded(std::string_view what);
  void deallocated();
  void released(std::string_view savepoint);
  void roll_back_to(std::string_view savepoint);
  void unpin(Feature feature);
  void unpin_at_commit(Feature feature);
  void keeps(Feature feature);
  void end_unpins(bool committed);
  void transaction_ended(bool committed);
  static bool changes_definitions(const sql::Statement& statement);
  void defined(const sql::Statement& statement);
  void run_settings(const sql::Statement& statement);
  void learn_date_style();

  // timeouts.cpp
  void cancel_wait();
  void sweep_ended(std::chrono::steady_clock::time_point now);
  void sweep_lease(std::chrono::steady_clock::time_point now, const core::LocalSettings& limits);

  // client.cpp
  void attach(std::unique_ptr<Origin> origin);
  void sync_reports();
  void append_reports(std::string& out, const SettingsRef& now);
  void unblock(Block reason);
  void block(Block reason);
  void detach_origin(bool rest_missing);
  void drop_tap();
  void note_untold(std::string_view sqlstate, std::string_view message);
  void fail_group(const pool::Refusal& refusal);
  void send_error(std::string_view severity, std::string_view sqlstate, std::string_view message,
                  std::string_view hint = {});
  void send_ready();
  void close_politely();
  void has_ended();
  void leave();
  Session& session();

  Worker& worker_;
  std::unique_ptr<net::Stream> stream_;
  std::unique_ptr<Origin> lease_;
  SettingsRef startup_;        // what the startup packet asked for
  SettingsRef settings_;       // what the session wants now
  SettingsRef snapshot_;       // the same at the beginning of the transaction
  SettingsRef told_;           // ParameterStatus as the client knows them
  SettingsRef told_at_login_;  // likewise: what a RESET goes back to
  Unnamed unnamed_;            // as the client's messages say
  Unnamed confirmed_;          // as the origin's replies say
  Portal portal_;              // the unnamed one
  TextRef begun_;              // a BEGIN that was answered here and not sent yet
  bool begun_portal_ = false;  // and its unnamed portal is there: it was no Query
  boost::unordered_flat_map<std::string, NamedRef> names_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Login> login_;
  std::shared_ptr<Tap> tap_;
  std::size_t streaming_ = 0;  // bytes of a big message still to be passed on
  std::uint32_t scanned_ = 0;  // bytes of the present group already looked at
  std::uint32_t process_id_ = 0;
  const std::uint64_t serial_;
  /// On which it moved a sequence last; may be gone.
  const pool::OriginConnection* moved_on_ = nullptr;
  std::uint64_t own_definitions_ = 0;  // changes with the session's temporary objects
  std::uint64_t binds_ = 0;            // sent so far
  std::uint64_t own_reading_ = 0;      // of texts, on this connection: see reading()
  /// What the present transaction has sent may have changed definitions: nobody else's number.
  std::uint64_t redefining_ = 0;
  std::uint16_t pins_ = 0;    // bits by Feature
  std::uint16_t unpins_ = 0;  // likewise: those that end if the transaction commits
  bool defines_ = false;      // the present transaction has: redefining_
  Phase phase_ = Phase::kStartup;
  Asked asked_ = Asked::kNothing;
  Block block_ = Block::kNone;
  bool goes_on_ = false;
  bool skip_to_sync_ = false;    // without an origin: after a refusal
  bool stayed_away_ = false;     // what it waited for: the next connection may be any
  bool asks_sequences_ = false;  // has asked for lastval() or currval()
  bool begins_ = false;          // a BEGIN is on its way, or begun_
  bool begin_lost_ = false;      // begun_ was never sent, and its transaction has failed
  bool ends_ = false;            // a COMMIT, ROLLBACK … is
  bool check_failed_ = false;
  bool parsed_ahead_ = false;  // and nothing else has run in this segment
  bool streaming_drops_ = false;
  bool own_ = false;      // nobody's: the proxy asks
  bool leaving_ = false;  // go when the present work is done
  bool ended_ = false;    // the client sends no more: likewise, and it may still read the answers
  bool deaf_ = false;     // it has ended, and does not
  bool at_end_ = false;   // nothing follows what it has sent
  bool error_in_group_ = false;
  bool recovered_ = false;  // since ReadyForQuery; in a failed transaction only its end succeeds
  bool cancelled_ = false;
  bool ending_tap_ = false;              // the answer that is being captured ends with this message
  bool clean_ = false;                   // that answer held no error and left no transaction
  std::uint16_t lost_ = 0;               // bits by Feature: for the present statement's event
  std::unique_ptr<UntoldError> untold_;  // of the group that is being skipped
  sql::CacheStatus cache_status_ = sql::CacheStatus::kDisabled;
  bool sets_date_style_ = false;                  // in the present transaction
  bool reset_ran_ = false;                        // in the present transaction
  bool reapply_ = false;                          // a RESET took the startup's settings away too
  std::vector<std::string> reset_names_;          // only these, if any
  bool reapplied_ = false;                        // in the present transaction
  bool rolled_back_ = false;                      // it was
  std::chrono::steady_clock::duration waited_{};  // at the gate and for the lease, until it is told
  std::chrono::steady_clock::time_point since_{};  // of the phase; kReady: of the last activity
};

/// Savepoints and named portals: rare enough to live apart.
struct Client::Session {
  std::string cache_reason;
  std::vector<std::string> tables_written;
  std::vector<std::pair<std::string, SettingsRef>> savepoints;
  boost::unordered_flat_map<std::string, Portal> portals;
};

}  // namespace hyperdrive::proxy::session::postgres
