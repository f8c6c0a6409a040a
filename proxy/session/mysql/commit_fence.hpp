// The fence between a transaction that the origin's binary log tells of and the moment when it can
// be seen.
//
// The log is written (and sent) before the engine commits, and long before where a semi-synchronous
// replica is awaited. Whoever read the table in between saw the old rows; stored then, they would
// stay, because no further event comes. So what a logged transaction wrote is held open here until
// the origin itself says that its commit is over:
//
//   MariaDB  Binlog_snapshot_file and _position are moved under the same lock under which the
//            engines commit, in the order of the log: where they are the end of a transaction, that
//            one and all before it are visible. Two things are in the way. When a file is full,
//            they move to the next one before the last group's engines have committed: so of
//            transactions of an older file only the checkpoint event tells that their commits are
//            done. And behind a definition that filled a file, the position is the old file's with
//            the new file's name: so it has to be exactly where the stream has seen an end.
//   MySQL    a transaction is in gtid_executed after its engine's commit.
//
// Pure state: it makes the question and reads the answer; binlog_follower.hpp asks. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxy/cache/epochs.hpp"
#include "proxy/session/mysql/question.hpp"
#include "proxy/wire/mysql/binlog.hpp"

namespace hyperdrive::proxy::session::mysql {

class CommitFence {
 public:
  struct Held {
    cache::WriteIntent intent;
    std::uint64_t catalog_generation = 0;  ///< by which its tables were found
    bool changes_schema = false;
    bool commits_loosely = false;  ///< MariaDB: visible a moment after the proof, see the follower
    bool completes_xa = false;     ///< visible only when XA RECOVER lists nothing any more
    bool is_horizon = false;       ///< all that was committed before the stream began
  };

  enum class Proof { kPosition, kGtid };
  explicit CommitFence(Proof proof = Proof::kPosition, bool holds = true)
      : proof_(proof), holds_(holds) {}

  /// In the order of the log. `gtid`: of kGtid. `holds` false (for the test that shows the fence to
  /// be needed): it counts as passed at once.
  void add(wire::mysql::BinlogPosition end, std::string gtid, Held held);
  bool empty() const { return waiting_.empty(); }

  /// kGtid: asks about the oldest that wait; kPosition: where commits have come to.
  std::string question();
  /// The rows that came back.
  void answer(std::span<const TextRow> rows);
  /// The connection was lost: the answer will not come.
  void forget_question() { asked_ = 0; }
  /// All commits of files before this one are done.
  void checkpoint(std::uint64_t file);

  /// Those that are visible, in the order of the log.
  std::vector<Held> take_passed();
  /// All of them, for whoever has put something wider in their place.
  std::vector<Held> take_all();

 private:
  struct Waiting {
    wire::mysql::BinlogPosition end;
    std::string gtid;
    Held held;
  };
  void pass_older_files();
  void committed(const wire::mysql::BinlogPosition& position);

  static constexpr std::size_t kBatch = 500;
  Proof proof_;
  bool holds_;
  std::deque<Waiting> waiting_;
  std::size_t passed_ = 0;  // the first so many are visible
  std::size_t asked_ = 0;   // kGtid: the first so many are in the question
  /// kPosition: an answer that the stream has not come to yet.
  std::optional<wire::mysql::BinlogPosition> ahead_;
  std::uint64_t checkpoint_ = 0;
};

}  // namespace hyperdrive::proxy::session::mysql
