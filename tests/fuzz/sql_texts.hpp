// What the fuzzer and the deterministic unit test feed to the readers of SQL.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/sql/analysis_cache.hpp"
#include "proxy/sql/class_key.hpp"
#include "proxy/sql/hints.hpp"
#include "proxy/sql/mysql_analysis.hpp"

namespace hyperdrive::tests::fuzz {

namespace sql = hyperdrive::proxy::sql;

/// Two readings of one text agree, whichever texts of its class were seen before.
inline void sql_texts(std::string_view input) {
  static sql::AnalysisCache cache;
  const auto first = cache.get(input);
  const auto again = cache.get(input);
  if (!first || !again || first->status != again->status) std::abort();
  std::string key;
  sql::write_class_key(input, key);
  sql::read_hints(input);
  sql::analyse_mysql(input);
}

inline const std::vector<std::string>& sql_seeds() {
  static const std::vector<std::string> seeds = {
      "select id, name from items where id = $1 and at > '2020-01-01'::timestamptz",
      "with a as (select 1) select * from a join only b using (id) order by 1 limit 5",
      "insert into t values (1, E'a\\'b', $tag$ x $tag$, U&'d\\0061t') on conflict do nothing",
      "begin; set local search_path to a, \"b\"; commit",
      "/* hyperdrive: max-age=5, tag=products */ select 1 -- hyperdrive: no-cache",
      "prepare p as select $1::int; execute p(1); deallocate all",
      "select `a` from `b` where c = 'x''y' and d = \"z\" # comment\n",
      "select /*!50000 sql_no_cache */ 1 /* nested /* here */ */ , 0x1f, b'01', N'x', _utf8'y'",
      "select date_format(now(), '%Y') from t for update",
      "values (1), (2)",
      "\xef\xbb\xbfselect 1",
  };
  return seeds;
}

}  // namespace hyperdrive::tests::fuzz
