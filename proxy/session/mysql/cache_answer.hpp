// Answers to MySQL queries in pieces: taken apart as they go to the client that asked, put together
// for others, whose envelope may be another.
//
// What the store keeps of a result set:  head = the packets of the column count and definitions
//                                        rows = row packets, numbered as behind no EOF
//                                        tail = KeptEnd
// Text and binary rows are kept under different keys. Clients that await an EOF behind the columns
// get one, and their rows' numbers are one higher.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/cache/cache.hpp"
#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::session::mysql {

/// Reads one answer from slices of any size.
class AnswerReader {
 public:
  AnswerReader(cache::Capture rows, std::uint64_t capabilities)
      : rows_(std::move(rows)), capabilities_(capabilities) {}

  void read(net::Bytes bytes);

  /// One whole result set, with nothing in it that forbids keeping it.
  bool whole() const { return clean_ && phase_ == Phase::kEnd; }
  const std::string& head() const { return head_; }
  std::string tail() const;
  std::uint64_t row_count() const { return row_count_; }
  cache::Capture take_rows() { return std::move(rows_); }

 private:
  enum class Phase : std::uint8_t { kCount, kColumns, kColumnsEnd, kRows, kEnd };

  void end_packet();
  bool deprecates_eof() const;

  cache::Capture rows_;
  const std::uint64_t capabilities_;
  std::string header_;   // of the present packet, until it is whole
  std::string payload_;  // of those packets that are looked into
  std::string head_;
  std::size_t left_ = 0;  // of the present packet
  std::uint32_t length_ = 0;
  std::uint64_t columns_ = 0;
  std::uint64_t row_count_ = 0;
  std::uint64_t packets_ = 0;  // that hold rows
  std::uint16_t status_ = 0;
  Phase phase_ = Phase::kCount;
  bool streams_ = false;    // the present packet is a row
  bool continues_ = false;  // the next one goes on with it
  bool knows_kind_ = false;
  bool kept_header_ = false;
  bool clean_ = true;
};

/// Writes the whole answer; returns its bytes. `capabilities`: the client's.
std::size_t serve(net::Stream& stream, std::string& scratch, const cache::Entry& entry,
                  std::uint64_t capabilities);

}  // namespace hyperdrive::proxy::session::mysql
