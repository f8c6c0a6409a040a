// One client's conversation: greeting, login, then one command after the other until it leaves.
//
// Owned by its Worker; belongs to that worker's thread. An idle client owns no buffer and no
// connection: only its statements, state and identity.
//
// Ready: a command is looked at when the reply to the one before is complete. Whatever cannot go on
// now leaves its bytes unread in the stream and says why in `block_`; the event that ends the block
// resumes reading, and the same bytes are looked at again. So nothing is queued here.
//
//   need_origin()  a connection of the pool, of the right kind (FOUND_ROWS …), brought to this
//                  session's state by commands of the proxy's own (the prelude)
//   lease.cpp      need_origin() and what goes with it
//   relay.cpp      cuts commands                      statement_commands.cpp  COM_STMT_…
//   commands.cpp   dispatches them                    assignments.cpp  what SET has changed
//   admission.cpp  may a text run, and where
//   effects.cpp    what a finished text did to the session, and what that means for the lease
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/net/stream.hpp"
#include "proxy/pool/pool.hpp"
#include "proxy/session/mysql/last_statement.hpp"
#include "proxy/session/mysql/origin.hpp"
#include "proxy/session/mysql/set_reader.hpp"
#include "proxy/session/mysql/worker.hpp"
#include "proxy/wire/mysql/handshake.hpp"
#include "proxy/wire/mysql/statement.hpp"

namespace hyperdrive::proxy::session::mysql {

class Client final : public net::StreamHandler, public pool::Waiter {
 public:
  Client(Worker& worker, std::unique_ptr<net::Stream> stream);
  ~Client() override;
  /// The first packet: at once, or when it is known what the origin is.
  void greet();

  // --- net::StreamHandler
  std::size_t on_data(net::Bytes data) override;
  void on_closed(net::CloseReason reason) override;
  void on_drained() override;

  // --- pool::Waiter
  void granted(std::unique_ptr<pool::OriginConnection> connection) override;
  void refused(const pool::Refusal& refusal) override;
  bool suits(const pool::OriginConnection& connection) const override;

  // --- from its origin connection
  std::uint64_t capabilities() const { return capabilities_; }
  bool hears_state_changes() const {
    return state_ && state_->find("session_track_state_change") != nullptr;
  }
  net::Stream& stream() { return *stream_; }
  void to_client(const Run& run);
  /// Likewise, and one packet more behind them.
  void to_client(const Run& run, std::uint8_t sequence, net::Bytes payload);
  void packet_to_client(std::uint8_t sequence, net::Bytes payload);
  /// Of what runs at the origin.
  net::Bytes running_text() const { return running_.text ? running_.text->text : net::Bytes(); }
  /// The origin has prepared what this client asked for: the id to tell it.
  std::uint32_t prepared(const wire::mysql::PrepareOk& prepared);
  /// Whether the result behind `done` others of the running command is surely not the last one.
  bool more_results_after(std::uint32_t done) const;
  void infile_begins(std::uint8_t sequence);
  /// The row of what ask_values() asked.
  void take_values(net::Bytes row);
  /// The reply is complete, its last packet not yet sent.
  void ending(const Outcome& outcome);
  /// One packet of the reply to keep_warnings().
  void take_warnings(net::Bytes payload, bool is_row);
  void ended(const Expected& entry, const Outcome& outcome);
  void replies_drained();
  void origin_writable() { unblock(Block::kPressure); }
  void origin_lost();
  /// The ERR of a LOAD DATA LOCAL that the client did not allow.
  static std::string no_local_files(bool is_mariadb, int major_version);

  // --- for the gate
  Worker& worker() { return worker_; }
  std::uint32_t id() const { return id_; }
  /// What the session has set; all that it has not set is as the origin has it.
  const StateRef& state() const { return state_; }
  /// The capabilities that the bytes of an answer depend on.
  std::uint64_t shape() const { return capabilities_ & kShapeMask; }
  Origin* lease() const { return lease_.get(); }
  void retry() { unblock(Block::kGate); }
  /// For the gate: the command that goes on now has waited there, too.
  void has_waited(std::chrono::steady_clock::duration time) {
    waited_us_ += static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  }
  bool pinned() const { return pins_ != 0; }
  /// What became of the present statement at the cache, for its event.
  void set_cache_outcome(sql::CacheStatus status, std::string_view reason);

  // --- for the worker
  void sweep(std::chrono::steady_clock::time_point now);
  void shut_down();
  bool rests() const;
  void abandon();
  /// The proxy has waited long enough for it to leave.
  void time_is_up();
  bool in_linger_list = false;
  void give_up_linger();
  /// KILL of this client, by another.
  bool kill_query(std::function<void()> done);
  void kill_connection();
  void killed_other();
  void no_such_client(std::uint32_t id);
  std::list<std::unique_ptr<Client>>::iterator self;

  static constexpr std::uint64_t kShapeMask = wire::mysql::capability::kDeprecateEof |
                                              wire::mysql::capability::kMariadbExtendedMetadata |
                                              wire::mysql::capability::kSessionTrack | kKindMask;

 private:
  enum class Phase : std::uint8_t {
    kWaiting,  ///< for the origin's profile; nothing has been sent
    kGreeted,  ///< a handshake response or TLS request is due
    kEncrypting,
    kSwitched,  ///< the answer to an AuthSwitchRequest is due
    kReady,
    kGone
  };
  enum class Block : std::uint8_t {
    kNone,
    kLease,     ///< waits for an origin connection
    kReply,     ///< waits for the end of the reply under way
    kPrelude,   ///< waits for what must hold before the command runs
    kPressure,  ///< the origin does not read fast enough
    kGate,      ///< the gate waits for somebody else's answer, or tells others of a write
    kKill,      ///< waits for the end of a KILL
    kReader,    ///< the client does not read what it was answered
  };
  enum class Step : std::uint8_t { kDone, kBlocked, kGone };
  /// Bits: a SET is for the next transaction, or for the RAND() of the next statement.
  enum Shots : std::uint8_t { kNoShot = 0, kTransactionShot = 1, kSeedShot = 2 };
  struct Message {
    wire::mysql::Header header;
    net::Bytes whole;    // as far as it is here
    net::Bytes payload;  // likewise
    bool is_whole = true;
    wire::mysql::Command command() const {
      return static_cast<wire::mysql::Command>(static_cast<unsigned char>(payload[0]));
    }
    net::Bytes argument() const { return payload.substr(1); }
  };
  /// What runs at the origin.
  struct Running {
    TextRef text;
    std::uint32_t statement = 0;
    wire::mysql::Command command{};
    std::chrono::steady_clock::time_point since{};
    std::uint16_t findings = 0;  // bits by Feature: refused in production, or lost
    bool binds_parameters = false;
  };

  // login.cpp
  std::size_t login(net::Bytes data);
  void send_greeting(const OriginProfile& profile);
  std::size_t begin_tls(std::size_t used, std::size_t size);
  void handshake_response(const wire::mysql::HandshakeResponse& response);
  void check_password(net::Bytes plugin, net::Bytes answer);
  bool password_fits(net::Bytes plugin, net::Bytes answer) const;
  void switch_method(net::Bytes plugin);
  void access_denied(bool used_password);
  std::string charset_refusal() const;
  void user_not_changed(const std::string& error);
  void begin_session(StateRef state);
  void logged_in();
  StateRef initial_state() const;
  std::string names_of_charset() const;

  // relay.cpp
  std::size_t relay(net::Bytes data);
  std::size_t stream_rest(net::Bytes data);
  std::size_t stream_infile(net::Bytes data);
  std::size_t drop_infile(const wire::mysql::Header& header, std::size_t here);
  void start_streaming(const Message& message, bool drops);

  // commands.cpp
  Step command(const Message& message);
  Step run_command(const Message& message);
  Step fail_with(const Message& message, const std::string& error);
  TextRef text_of(const Message& message);
  TextRef text_to_run(const Message& message);
  Step query(const Message& message);
  Step change_databases(const Message& message);
  Step ping();
  Step forward_simple(const Message& message, Reply reply);
  Step init_db(const Message& message);
  Step set_option(const Message& message);
  void forget_session();
  Step reset_connection();
  Step change_user(const Message& message);
  Step kill(std::uint32_t id, bool connection);
  bool offered(const Question& question, Step& step);
  bool cleared(TextInfo& text, const StateRef& state);
  void forward(const Message& message, Reply reply, net::Bytes payload = {});

  // lease.cpp
  bool need_origin(TextInfo* text);
  bool prepare_lease(TextInfo* text);
  bool needs_fresh(TextInfo& text) const;
  static bool uses_user_variables(const TextInfo& text);
  void bring_kept();
  bool may_set_role(TextInfo& text) const;
  static bool tells_of_state(TextInfo& text, std::uint64_t results);
  static bool tells_of_state(const sql::Statement& statement);
  void reopen();
  void reopened(LoginResult result);

  // statement_commands.cpp
  Step stmt_prepare(const Message& message);
  Step stmt_execute(const Message& message);
  Step stmt_bulk_execute(const Message& message);
  Step stmt_long_data(const Message& message);
  Step stmt_close(const Message& message);
  Step stmt_reset(const Message& message);
  Step stmt_fetch(const Message& message);
  ClientStatement* find_statement(const Message& message);
  Step refuse_oversized(std::string_view why);
  Step malformed();
  Step unknown_statement(const Message& message, std::string_view command);
  void has_prepared(std::uint64_t id, std::uint32_t origin_id);
  const std::uint32_t* ensure_prepared(const PreparedRef& prepared);
  const std::uint32_t* ensure_prepared(const ClientStatement& statement);
  void bind_types(ClientStatement& statement);
  void take_over(ClientStatement& statement);
  void give_back(ClientStatement& statement);
  void leave_cursor(ClientStatement& statement);
  void forward_with_id(const Message& message, std::uint32_t origin_id, Reply reply);
  /// Where types stand in a command, counted from its packet's header, and the flag that says so.
  struct TypesPlace {
    std::size_t at;
    std::size_t flag_at;
    std::uint8_t flag;
  };
  void forward_with_types(const Message& message, std::uint32_t origin_id, net::Bytes types,
                          const TypesPlace& place);

  // last_statement.cpp
  void note_statement(const Outcome& outcome);
  void note_draw(TextInfo& text, const Outcome& outcome);
  void note_count(TextInfo& text, const Outcome& outcome);
  bool may_give(TextInfo& text, bool binds_parameters, std::uint64_t id) const;
  bool may_confuse_ids(TextInfo& text) const;
  void remember_read(TextInfo& text, const StateRef& state, PreparedRef prepared,
                     const wire::mysql::Execute* execute, net::Bytes types);
  void served(TextInfo& text);
  void recall(TextInfo& text);
  bool recall_insert_id();
  bool knows_sequences(const TextInfo& text) const;
  bool recall_diagnostics();
  bool recall_counts(const Asks& asks, bool ran_here);
  bool recall_found_rows();
  bool recall_row_count();

  // kept_warnings.cpp
  bool has_warnings_there() const;
  bool loses_warnings() const;
  void keep_warnings();
  void warnings_taken(bool failed);
  bool tells_warnings(const TextInfo& text);

  // admission.cpp
  bool may_run(const Message& message, TextInfo& text, Step& step);
  bool loads_unallowed_file(const sql::Analysis& analysis) const;
  std::string gone_variable(const Message& message, TextInfo& text) const;
  void note_before(TextInfo& text);

  // effects.cpp
  void apply_effects(const Outcome& outcome);
  void follow_database(const Outcome& outcome);
  void apply_statement(const sql::Statement& statement, std::string_view text);
  void apply_assignments(const std::vector<Assignment>& assignments, bool knows_values);
  void ask_for(const std::string& variable);
  void set_state(StateRef state);
  void ask_values();
  bool must_hold() const;
  bool worth_lingering(const Outcome& outcome) const;
  void end_one_shot(const Outcome& outcome, bool sets_only, bool ends_transaction);
  void pin(Feature feature);

  // events.cpp
  void tell(const Outcome& outcome, std::uint64_t waited_us);
  void tell_refused(const Message& message);
  void tell_session(bool connected);

  // client.cpp
  void attach(std::unique_ptr<Origin> origin);
  void sweep_ended(std::chrono::steady_clock::time_point now);
  bool has_waited_long(std::chrono::steady_clock::time_point now) const;
  void detach_origin(bool rest_missing);
  void let_go();
  std::uint64_t kind() const;
  void unblock(Block reason);
  void block(Block reason);
  void fail(const pool::Refusal& refusal);
  void fail(std::uint16_t code, std::string_view sqlstate, std::string_view message);
  void send_error(std::uint8_t sequence, std::uint16_t code, std::string_view sqlstate,
                  std::string_view message);
  void send_lost();
  void send_ok(std::uint8_t sequence = 1);
  void answer_error(std::string payload);
  Step refuse(std::uint16_t code, std::string_view sqlstate, std::string_view message);
  void note_untold(std::string_view sqlstate, std::string_view message);
  std::uint16_t told_status() const;
  sql::MysqlLexing lexing_of(const State& state) const;
  void close_politely();
  void leave();

  Worker& worker_;
  std::unique_ptr<net::Stream> stream_;
  std::unique_ptr<Origin> lease_;
  std::unique_ptr<OriginLogin> reopening_;  // the lease's new login
  StateRef login_state_;                    // what COM_RESET_CONNECTION goes back to
  StateRef state_;
  sql::MysqlLexing lexing_;  // of state_
  boost::unordered_flat_map<std::uint32_t, std::unique_ptr<ClientStatement>> statements_;
  std::shared_ptr<Tap> tap_;
  Running running_;
  TextRef asked_text_;          // a long one, of a command that waits: it is not read twice
  std::string pending_error_;   // the ERR payload that is the present command's answer
  std::string late_error_;      // likewise, of a command whose rest is still being dropped
  std::string asked_database_;  // by the COM_INIT_DB under way
  std::string user_;
  std::string scramble_;
  std::string method_;
  std::vector<std::string> asked_values_;  // of the variables behind a SET
  std::string cache_reason_;
  std::uint64_t capabilities_ = 0;
  LastStatement last_;
  KeptVariables kept_;
  std::size_t streaming_ = 0;  // bytes of the present packet still to be passed on
  std::uint32_t id_ = 0;
  std::uint32_t next_statement_ = 0;
  std::uint32_t last_prepared_ = 0;
  std::uint32_t cursors_ = 0;       // open
  std::uint32_t long_data_ = 0;     // statements with some
  std::uint16_t pins_ = 0;          // bits by Feature
  std::uint16_t mode_flags_ = 0;    // of sql_mode, in every status: clients quote by them
  std::uint16_t mode_default_ = 0;  // … where the session has set none
  std::uint8_t sequence_ = 0;       // of the next packet of a login, or of a file
  std::uint16_t charset_ = wire::mysql::kUtf8mb4GeneralCi;
  std::uint8_t failed_changes_ = 0;  // of COM_CHANGE_USER
  Phase phase_ = Phase::kWaiting;
  Block block_ = Block::kNone;
  sql::CacheStatus cache_status_ = sql::CacheStatus::kDisabled;
  bool multi_statements_ = false;
  bool continues_ = false;  // the packet being streamed goes on in the next
  bool streaming_drops_ = false;
  bool streaming_owes_ = false;  // … belongs to a command that has a reply
  bool rest_to_come_ = false;    // of the command that is being looked at
  bool changing_user_ = false;
  bool has_kept_ = false;            // the lease holds kept_
  bool infile_ = false;              // the client is sending a file
  bool infile_lost_ = false;         // … and nobody is there to have it: told behind its end
  bool infile_continues_ = false;    // its last packet was a full one: the next goes on with it
  bool touched_ = false;             // with autocommit off: something ran since the last COMMIT
  std::uint8_t one_shot_ = kNoShot;  // what a SET was for, which has not come yet
  bool one_shot_begun_ = false;      // … which is a transaction that has begun
  bool may_linger_ = false;          // it is worth keeping the lease for a while
  bool lingers_ = false;             // the lease is kept in case only
  bool insert_id_open_ = false;      // only the lease knows LAST_INSERT_ID(): asked before it goes
  bool leaving_ = false;             // go when the present work is done
  bool ended_ = false;               // the client sends no more: likewise, and it may still read
  bool deaf_ = false;                // … but does not
  bool killed_ = false;              // by the time limit
  bool reply_begun_ = false;
  std::unique_ptr<UntoldError> untold_;  // of the present command
  std::uint64_t waited_us_ = 0;          // at the gate and for the lease, until a statement has run
  std::chrono::steady_clock::time_point since_{};  // of the phase; kReady: of the last activity
};

}  // namespace hyperdrive::proxy::session::mysql
