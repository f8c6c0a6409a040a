// One connection to the origin, as MySQL: what it owes, what it has prepared, what its session
// there looks like.
//
//   parked    in the pool; any byte retires it
//   leased    `owner_` is the client that receives the replies
//   finishing its client has left, or it needs cleaning: replies are swallowed, an open transaction
//             is rolled back, leftovers are reset; then it goes home to the pool
//
// A reply is translated packet by packet (replies.cpp): what both ends agreed on differs. Rows pass
// in runs (reply_stream.cpp); only headers are read, and their sequence numbers rewritten where
// EOFs were added or dropped before them.
//
// Belongs to its worker's thread. Owned by the pool, the client's lease, or Worker::finish.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/net/stream.hpp"
#include "proxy/pool/origin_connection.hpp"
#include "proxy/session/mysql/worker.hpp"
#include "proxy/wire/mysql/response.hpp"
#include "proxy/wire/mysql/statement.hpp"

namespace hyperdrive::proxy::session::mysql {

/// What the reply to a command looks like.
enum class Reply : std::uint8_t { kOk, kQuery, kPrepare, kFetch, kFieldList, kStatistics };

/// Whose command it was.
enum class Purpose : std::uint8_t {
  kCommand,      ///< the client's
  kPrelude,      ///< the proxy's, before the client's: settings, database …
  kPrepare,      ///< likewise: a statement that this connection lacks
  kRecall,       ///< the proxy's, before the client's: an error raised on purpose
  kValues,       ///< the proxy's, behind a SET: what the variables are now
  kWarnings,     ///< the proxy's, before a reset: what SHOW WARNINGS would tell
  kInitConnect,  ///< the proxy's, once: whether there is an init_connect
  kCleaning,     ///< the proxy's, when no client is there
};

struct Expected {
  Reply reply = Reply::kOk;
  Purpose purpose = Purpose::kCommand;
  std::uint8_t client_sequence = 1;  ///< of the reply's first packet, as the client awaits it
  bool refuses_infile = false;       ///< the client cannot send files: the reply becomes an error
  PreparedRef prepared;              ///< kPrepare
};

/// How a reply ended.
struct Outcome {
  bool failed = false;
  std::uint16_t status = 0;
  std::uint16_t warnings = 0;
  std::uint64_t affected_rows = 0;
  std::uint64_t last_insert_id = 0;
  std::uint16_t code = 0;  ///< failed
  net::Bytes sqlstate;     ///< failed; valid during the call only, like all views here
  net::Bytes message;
  net::Bytes error;          ///< failed: the ERR packet's payload
  net::Bytes session_state;  ///< of the last OK
  /// Whose OK says that something of the session has changed: bit i of result i, 63 of all later.
  std::uint64_t state_changed = 0;
  bool failed_here = false;        ///< the proxy has refused it; the origin knows of no error
  bool may_prepare_again = false;  ///< it failed by statements that have been closed since
  bool ends_with_rows = false;     ///< the last result was one of rows
  std::uint32_t results = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  wire::mysql::PrepareOk prepared;
};

/// Packets on their way to the client, as they came. What is left of one that began before may
/// stand in front of them, and the last one may be cut.
struct Run {
  net::Bytes bytes;
  std::size_t first_header;  ///< no less than the size of `bytes`: none begins here
  std::uint8_t delta;        ///< what the client's numbers are ahead
};

class Origin final : public pool::OriginConnection, public net::StreamHandler {
 public:
  struct Identity {
    std::uint32_t connection_id = 0;
    std::uint64_t capabilities = 0;
    bool is_mariadb = false;
    bool autocommit = true;
    unsigned version = 0;  ///< 101119 is 10.11.19
    int major_version() const { return static_cast<int>(version / 10000); }
  };
  Origin(Worker& worker, OriginSession session);
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
  /// `rest_missing`: a packet was cut in the middle, so nothing can follow it.
  static void send_home(std::unique_ptr<Origin> self, bool rest_missing);
  /// Everything sent was answered, no transaction.
  bool at_rest() const;
  bool busy() const { return !queue_.empty(); }
  bool in_transaction() const {
    return (status_ & (wire::mysql::status::kInTrans | wire::mysql::status::kInTransReadonly)) != 0;
  }
  bool autocommit() const { return (status_ & wire::mysql::status::kAutocommit) != 0; }
  /// The last reply was an error, which says nothing of the transaction: it may have ended it (a
  /// deadlock, a definition that failed behind its implicit COMMIT), or begun it (autocommit off).
  bool may_be_in_another_state() const {
    return ended_in_error_ && (in_transaction() || !autocommit());
  }
  std::uint16_t status() const { return status_; }

  /// Ends the old login in place: the pool goes on counting this connection.
  void close_stream(std::function<void()> closed = {});
  void take_session(OriginSession session, std::string entered);

  // --- sending
  net::Stream& stream() { return *stream_; }
  void write(net::Bytes bytes);
  /// A command of the proxy's own, as one packet.
  void send(wire::mysql::Command command, net::Bytes argument, Expected expected);
  void expect(Expected expected);
  /// The last command turned out to be of several packets: the client's next number.
  void set_client_sequence(std::uint8_t sequence) { queue_.back().client_sequence = sequence; }
  /// Its client reads again.
  void go_on_reading();
  /// A reply has been passed on in part.
  bool mid_reply() const { return begun_; }
  /// The ERR packet's payload with which the origin has ended the connection unasked; or nothing.
  const std::string& last_words() const { return last_words_; }
  PreparedOnOrigin& prepared() { return prepared_; }
  void close_statement(std::uint32_t origin_id);
  /// The origin takes no more statements: those that nobody uses just now are closed. False: there
  /// was none.
  bool drop_prepared();
  /// The client has sent its file to the end; the reply goes on with that number.
  void infile_ended(std::uint8_t client_sequence);
  bool wants_infile() const { return phase_ == Phase::kInfile; }
  std::uint8_t infile_sequence() const { return static_cast<std::uint8_t>(sequence_); }

  // --- the session there
  const Identity& identity() const { return identity_; }
  std::uint64_t kind() const { return identity_.capabilities & kKindMask; }
  std::uint32_t origin_number = 0;  ///< Service::origin_number when it was opened
  /// A reload has brought another origin since: no answer of this one is anybody else's.
  bool is_of_the_past() const;
  /// Whether its session, as its latest status says it, has the sql_mode that `lexing` stands for.
  bool reads_as(const sql::MysqlLexing& lexing) const;
  /// What it has been set to; null: to be set anew (after the login, after a reset).
  StateRef applied;
  /// Empty: none; nothing: it has to be entered anew.
  std::optional<std::string> database;
  std::uint32_t databases_seen = 0;  ///< Service::databases_altered when it was entered
  bool multi_statements = true;
  bool dirty = false;          ///< only COM_RESET_CONNECTION makes it clean
  bool beyond_repair = false;  ///< only a new connection is clean
  bool over_limit = false;     ///< what runs was killed at --query-timeout: its error says so
  /// The statement that runs may change the session by what its text does not show (a trigger, a
  /// stored function); the origin tells of that, but not where the statement fails.
  bool error_may_hide_state = false;
  bool calls_unsaid = false;     ///< … a function by way of a view, as far as the schema is known
  bool calls_keep_role = false;  ///< no stored procedure there can set a role
  bool unfinished = false;       ///< a transaction may be open whatever the status says
  bool virgin = true;            ///< nothing of anybody has run since it was fresh or reset
  // See last_statement.hpp.
  std::uint32_t last_client = 0;     ///< who ran the newest of its statements
  std::uint64_t last_statement = 0;  ///< … its number by that client; 0: one of the proxy's own
  std::optional<std::uint64_t> insert_id = 0;  ///< its LAST_INSERT_ID(), where known
  std::uint32_t last_drawer = 0;     ///< who ran the newest statement that may have used a sequence
  bool several_drew = false;         ///< … and somebody else has before
  std::uint32_t counted_by = 0;      ///< whose FOUND_ROWS() it knows; 0: nobody's …
  std::uint64_t counted = 0;         ///< … of which statement
  std::uint32_t diagnostics_of = 0;  ///< whose warnings it may still hold; 0: it holds none
  std::uint64_t diagnostics_number = 0;  ///< … of which statement
  Baseline baseline() const;
  void reset();  ///< sends COM_RESET_CONNECTION, its reply a prelude
  /// Else only a new login makes of it what a fresh one is.
  bool can_be_reset() const;
  bool tells_of_changes() const { return origin_has(wire::mysql::capability::kSessionTrack); }

  std::unique_ptr<GateSlot> gate_slot;  ///< kept by the gate

  int cancels_running = 0;
  void cancel_ended();
  std::chrono::steady_clock::time_point sent_at() const { return sent_at_; }
  std::chrono::steady_clock::time_point last_reply() const { return last_reply_; }
  std::chrono::steady_clock::time_point finishing_since{};
  bool cancelled_late = false;

 private:
  enum class Phase : std::uint8_t {
    kFirst,       ///< the first packet of a reply, or of the next result
    kParameters,  ///< of a PREPARE
    kParametersEnd,
    kColumns,
    kColumnsEnd,
    kRows,
    kInfile,
  };

  // reply_stream.cpp
  bool step();
  bool rows();
  void pass();
  void replace(net::Bytes payload);
  void insert(net::Bytes payload);
  void drop();
  void emit(net::Bytes payload, std::uint8_t sequence);
  Run run() const;
  void flush();
  void flush_and_emit(net::Bytes payload, std::uint8_t sequence);
  void spare_client();
  void broken();
  bool forwards() const;

  // replies.cpp
  bool row();
  void head();
  void first();
  void first_of_query();
  void first_of_prepare();
  void column();
  void columns_over();
  void columns_end();
  void prepare_goes_on();
  void field_list();
  void rows_end();
  void local_infile();
  void infile_failed();
  void ok_packet(wire::mysql::Bytes payload, bool ends_rows);
  void err_packet(wire::mysql::Bytes payload);
  bool prepares_anew();
  void end_reply(net::Bytes payload);
  void end_behind(net::Bytes payload);
  void before_end();
  void after_end();
  std::string end_packet(const wire::mysql::Ok& ok) const;
  std::string columns_eof() const;
  bool origin_has(std::uint64_t capability) const {
    return (identity_.capabilities & capability) != 0;
  }
  bool client_has(std::uint64_t capability) const;
  std::uint8_t client_sequence() const {
    return static_cast<std::uint8_t>(header_.sequence + delta_);
  }

  void settle();
  void finish_step();
  void lost();

  Worker* worker_;
  std::unique_ptr<net::Stream> stream_;
  Client* owner_ = nullptr;
  Identity identity_;
  PreparedOnOrigin prepared_;
  std::vector<Expected> queue_;  // oldest first; seldom more than one
  Outcome outcome_;
  std::uint16_t status_ = wire::mysql::status::kAutocommit;
  std::chrono::steady_clock::time_point sent_at_{};
  std::chrono::steady_clock::time_point last_reply_{};

  // The reply under way:
  Phase phase_ = Phase::kFirst;
  wire::mysql::Header header_;  // of the present packet
  std::uint32_t left_ = 0;      // definitions to come
  std::uint8_t sequence_ = 0;   // awaited next from the origin
  std::uint8_t delta_ = 0;      // what the client's numbers are ahead
  bool begun_ = false;          // sequence_ and delta_ hold
  bool continued_ = false;      // the next packet goes on with the row before
  bool eof_owed_ = false;       // the client awaits an EOF behind the columns
  std::size_t rest_ = 0;        // bytes of the present packet still to come

  // During on_data:
  net::Bytes data_;
  std::size_t at_ = 0;
  std::size_t run_ = 0;           // from here to at_ goes to the client
  std::size_t first_header_ = 0;  // in data_; before it lies the rest of a packet
  std::string scratch_, last_words_;

  bool was_paused_ = false;      // its client did not read fast enough
  bool ended_in_error_ = false;  // so status_ is that of before
  bool parked_ = false;
  bool finishing_ = false;
  bool broken_ = false;
  bool in_on_data_ = false;
};

}  // namespace hyperdrive::proxy::session::mysql
