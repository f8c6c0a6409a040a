#include "proxy/session/mysql/commit_fence.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace hyperdrive::proxy::session::mysql {

using wire::mysql::BinlogPosition;

namespace {

std::optional<BinlogPosition> position_of(std::span<const TextRow> rows) {
  std::optional<std::uint64_t> file, offset;
  for (const TextRow& row : rows) {
    if (row.size() != 2 || !row[0] || !row[1]) continue;
    const std::string& value = *row[1];
    if (row[0]->ends_with("_file")) file = wire::mysql::binlog_file_number(value);
    if (!row[0]->ends_with("_position")) continue;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc() && end == value.data() + value.size()) offset = number;
  }
  if (!file || !offset) return std::nullopt;
  return BinlogPosition{*file, *offset};
}

}  // namespace

void CommitFence::add(BinlogPosition end, std::string gtid, Held held) {
  waiting_.push_back({end, std::move(gtid), std::move(held)});
  if (ahead_ && end >= *ahead_) committed(*std::exchange(ahead_, std::nullopt));
  pass_older_files();
}

void CommitFence::checkpoint(std::uint64_t file) {
  checkpoint_ = std::max(checkpoint_, file);
  pass_older_files();
}

void CommitFence::pass_older_files() {
  if (proof_ != Proof::kPosition) return;
  while (passed_ < waiting_.size() && waiting_[passed_].end.file < checkpoint_) ++passed_;
}

void CommitFence::committed(const BinlogPosition& position) {
  for (std::size_t i = waiting_.size(); i > passed_; --i) {
    if (waiting_[i - 1].end != position) continue;
    passed_ = i;
    return;
  }
}

std::string CommitFence::question() {
  if (proof_ == Proof::kPosition) return "SHOW SESSION STATUS LIKE 'Binlog_snapshot_%'";
  asked_ = std::min(waiting_.size(), kBatch);
  std::string gtids;
  for (std::size_t i = 0; i < asked_; ++i) {
    if (waiting_[i].gtid.empty()) continue;
    gtids += (gtids.empty() ? "" : ",") + waiting_[i].gtid;
  }
  return "SELECT GTID_SUBSET('" + gtids + "', @@GLOBAL.gtid_executed)";
}

void CommitFence::answer(std::span<const TextRow> rows) {
  if (proof_ == Proof::kPosition) {
    const auto position = position_of(rows);
    if (!position || waiting_.empty()) return;
    if (*position > waiting_.back().end) ahead_ = position;
    return committed(*position);
  }
  const std::size_t asked = std::exchange(asked_, 0);
  if (rows.size() == 1 && rows[0].size() == 1 && rows[0][0] == "1") {
    passed_ = std::max(passed_, asked);
  }
}

std::vector<CommitFence::Held> CommitFence::take_passed() {
  if (!holds_) return take_all();
  std::vector<Held> passed;
  for (; passed_ > 0; --passed_) {
    passed.push_back(std::move(waiting_.front().held));
    waiting_.pop_front();
  }
  return passed;
}

std::vector<CommitFence::Held> CommitFence::take_all() {
  std::vector<Held> all;
  for (Waiting& waiting : waiting_) all.push_back(std::move(waiting.held));
  waiting_.clear();
  asked_ = passed_ = 0;
  ahead_.reset();
  return all;
}

}  // namespace hyperdrive::proxy::session::mysql
