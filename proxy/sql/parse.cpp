#include "proxy/sql/parse.hpp"

#include <pthread.h>

#include <vector>

#include "proxy/sql/lexer.hpp"

extern "C" {
#include <pg_query.h>
}

namespace hyperdrive::proxy::sql {
namespace {

// libpg_query writes the tree by recursion: under 200 bytes of stack a level in the optimised
// library (measured with chains of + and UNION). Sanitizers and other builds may need more.
constexpr std::size_t kStackPerLevel = 1024;
constexpr std::size_t kInlineLevels = 2000;
constexpr std::size_t kMostLevels = 200'000;

Parsed parse_here(const std::string& text) {
  Parsed parsed;
  const PgQueryParseResult result = pg_query_parse(text.c_str());
  if (result.error != nullptr) {
    parsed.error = result.error->message != nullptr ? result.error->message : "not understood";
  } else {
    parsed.tree = std::make_unique<const Tree>(std::string(result.parse_tree));
    if (!parsed.tree->root()) parsed = {nullptr, "the parse tree is not readable"};
  }
  pg_query_free_parse_result(result);
  return parsed;
}

/// Whether operator characters stand in a run that costs the grammar's scanner the square of its
/// length: it reads `/*/*/*…` and `++++…` to the end of the run for each token in it (minutes for
/// half a megabyte).
bool has_endless_operator(std::string_view text) {
  constexpr std::string_view kOperators = "~!@#^&|`?+-*/%<>=";
  constexpr std::size_t kLongest = 1024;
  std::size_t run = 0;
  for (const char c : text) {
    run = kOperators.find(c) == std::string_view::npos ? 0 : run + 1;
    if (run > kLongest) return true;
  }
  return false;
}

struct Job {
  const std::string& text;
  Parsed parsed;
};

void* run_job(void* argument) {
  auto* job = static_cast<Job*>(argument);
  job->parsed = parse_here(job->text);
  return nullptr;
}

/// Deep texts are rare: a thread with a stack made to measure costs less than any cleverness.
Parsed parse_on_deep_stack(const std::string& text, std::size_t levels) {
  Job job{text, {nullptr, "no thread could be started to parse a deeply nested statement"}};
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, levels * kStackPerLevel + (std::size_t{1} << 20));
  if (pthread_create(&thread, &attributes, run_job, &job) == 0) pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  return std::move(job.parsed);
}

}  // namespace

std::size_t nesting_bound(std::string_view text) {
  // Within one list item no chain is longer than its tokens; nested parentheses add up.
  std::vector<std::size_t> open{0};
  std::size_t sum = 0;  // tokens of the current items of all open levels
  std::size_t most = 0;
  Lexer lexer(text);
  for (Token token = lexer.next_significant(); token.kind != TokenKind::kEnd;
       token = lexer.next_significant()) {
    ++open.back();
    most = std::max(most, ++sum);
    if (token.kind != TokenKind::kSymbol) continue;
    const char c = token.text.front();
    if (c == '(' || c == '[') {
      open.push_back(0);
    } else if ((c == ')' || c == ']') && open.size() > 1) {
      sum -= open.back();
      open.pop_back();
    } else if (c == ',' || c == ';') {
      sum -= open.back();
      open.back() = 0;
    }
  }
  return most;
}

Parsed parse(std::string_view text) {
  const std::string copy(text);
  if (copy.find('\0') != std::string::npos) return {nullptr, "the text holds a zero byte"};
  // A token takes a byte at least, and mostly a blank.
  if (copy.size() <= kInlineLevels) return parse_here(copy);
  if (has_endless_operator(copy)) return {nullptr, "an endless run of operator characters"};
  const std::size_t levels = nesting_bound(copy);
  if (levels <= kInlineLevels) return parse_here(copy);
  if (levels > kMostLevels) return {nullptr, "nested too deeply to be analysed"};
  return parse_on_deep_stack(copy, levels);
}

}  // namespace hyperdrive::proxy::sql
