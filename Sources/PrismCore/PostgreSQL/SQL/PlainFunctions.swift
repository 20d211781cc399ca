/// Words before an opening parenthesis behind which nothing can change the session for a neighbour in the same transaction:
/// keywords, type names, and functions of PostgreSQL's own that only compute. What is not listed runs on a connection that
/// its request has alone.
enum PlainFunctions {
    static func contains(_ name: String) -> Bool { keywords.contains(name) || functions.contains(name) }

    /// At an opening parenthesis behind `token`: whether it is a call of anything that is not listed. Behind AS it is the name of a
    /// result's.
    static func isUnknownCall(
        _ text: UnsafeRawBufferPointer, _ token: SQLScanner.Token, behind previous: SQLScanner.Token
    ) -> Bool {
        switch token.kind {
        case .quotedIdentifier, .escapedIdentifier: return !previous.is(.as)
        case .word:
            if previous.is(.as) { return false }
            guard previous.kind != .dot else { return true }
            return !contains(word(text, token).lowercased())
        default: return false
        }
    }

    static func word(_ text: UnsafeRawBufferPointer, _ token: SQLScanner.Token) -> String {
        String(decoding: text[token.start...].prefix { SQLScanner.continuesWord($0) }, as: UTF8.self)
    }

    /// In a plan keywords are printed in capitals, so a name in small letters is a function, or a type with its modifier.
    static func isUnknownCallInPlan(
        _ text: UnsafeRawBufferPointer, _ token: SQLScanner.Token, behind previous: SQLScanner.Token
    ) -> Bool {
        switch token.kind {
        case .quotedIdentifier, .escapedIdentifier: return true
        case .word:
            guard previous.kind != .dot else { return true }
            let word = word(text, token)
            if let first = word.utf8.first, first &- 0x41 < 26 { return !keywords.contains(word.lowercased()) }
            return !functions.contains(word) && !modified.contains(word)
        default: return false
        }
    }

    /// Types that are printed with a modifier behind them.
    private static let modified: Set<String> = [
        "bit", "bpchar", "character", "interval", "numeric", "time", "timestamp", "varying",
    ]

    /// From the grammar: what may stand before a parenthesis without calling anything by that name.
    private static let keywords: Set<String> = names(
        """
        all and any array as between bigint bit by case cast char character coalesce collate cross cube current_date \
        current_time current_timestamp dec decimal distinct else except exists extract filter float from full group \
        grouping greatest having ilike in inner int integer intersect interval is join lateral least left like limit \
        localtime localtimestamp materialized natural normalize not notnull null nullif numeric offset on or order outer \
        overlay position precision right rollup row select sets similar smallint \
        some substring symmetric table then time timestamp to treat trim union using values varbit varchar varying \
        when where with within
        """)

    /// Of pg_catalog, immutable or stable, without effects beyond their result.
    private static let functions: Set<String> = names(
        """
        abs acos age array_agg array_append array_cat array_dims array_fill array_length array_lower array_ndims \
        array_position array_positions array_prepend array_remove array_replace array_to_json array_to_string array_upper \
        ascii asin atan atan2 avg bit_and bit_count bit_length bit_or bit_xor bool_and bool_or bpchar btrim cardinality cbrt \
        ceil ceiling char_length character_length chr concat concat_ws convert convert_from convert_to cos cot count \
        covar_pop covar_samp corr cume_dist date date_bin date_part date_trunc daterange decode degrees dense_rank div encode \
        every exp factorial first_value float4 float8 floor format gcd gen_random_uuid generate_series generate_subscripts \
        get_bit get_byte host initcap int2 int4 int4range int8 int8range isempty isfinite json_agg json_array_elements \
        json_array_elements_text json_array_length json_build_array json_build_object json_each json_each_text \
        json_extract_path json_extract_path_text json_object json_object_agg json_object_keys \
        json_strip_nulls json_typeof jsonb_agg \
        jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each \
        jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg \
        jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array \
        jsonb_path_query_first jsonb_pretty jsonb_set jsonb_strip_nulls \
        jsonb_typeof justify_days justify_hours justify_interval lag last_value lcm lead \
        length ln log log10 lower lpad ltrim make_date make_interval make_time make_timestamp make_timestamptz max md5 min \
        min_scale mod mode now nth_value ntile num_nonnulls num_nulls numrange octet_length percent_rank percentile_cont \
        percentile_disc pi plainto_tsquery phraseto_tsquery power quote_ident quote_literal quote_nullable radians random \
        range_agg range_merge rank regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table \
        regr_count regr_intercept regr_r2 regr_slope repeat replace reverse round row_number row_to_json rpad rtrim scale \
        set_bit set_byte setweight sha224 sha256 sha384 sha512 sign sin split_part sqrt starts_with statement_timestamp \
        stddev stddev_pop stddev_samp string_agg string_to_array string_to_table strip strpos substr sum tan text \
        timezone to_ascii to_char to_date to_hex to_json to_jsonb to_number to_timestamp to_tsquery to_tsvector translate \
        transaction_timestamp trim_array trim_scale trunc ts_headline ts_rank ts_rank_cd tsrange tstzrange unnest upper \
        var_pop var_samp variance websearch_to_tsquery width_bucket
        """)

    static func names(_ list: String) -> Set<String> {
        Set(list.split(whereSeparator: { $0 == " " || $0.isNewline }).map(String.init))
    }
}
