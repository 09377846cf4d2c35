%% @doc A term as one line of text. Pure.
%%
%% Like `~0tp', with two differences: text prints as text whatever `+pc' the node was started with, and the work done is
%% bounded by the length of the line, not by the size of the term.
-module(py_text).

-export([line/2]).

%% @doc At most about `Max' characters of the term, as UTF-8.
-spec line(term(), pos_integer()) -> binary().
line(Term, Max) ->
    {Chars, _Left} = write(Term, Max),
    unicode:characters_to_binary(Chars).

-type written() :: {io_lib:chars(), Left :: integer()}.

-spec write(term(), integer()) -> written().
write(_Term, Left) when Left =< 0 ->
    {"...", Left};
write([], Left) ->
    {"[]", Left - 2};
write(List, Left) when is_list(List) ->
    case printable(List) of
        true -> text(List, "\"", "\"", Left);
        false -> elements("[", List, "]", Left)
    end;
write(Binary, Left) when is_binary(Binary), byte_size(Binary) > 0 ->
    binary(Binary, Left);
write(Tuple, Left) when is_tuple(Tuple) ->
    elements("{", tuple_to_list(Tuple), "}", Left);
write(Map, Left) when is_map(Map) ->
    pairs(maps:next(maps:iterator(Map)), ["#{"], Left - 3);
write(Other, Left) ->
    cut(io_lib:format("~tw", [Other], [{chars_limit, Left}]), Left).

-spec elements(string(), maybe_improper_list(), string(), integer()) -> written().
elements(Open, List, Close, Left) ->
    elements(List, Close, [Open], "", Left - 2).

-spec elements(term(), string(), io_lib:chars(), string(), integer()) -> written().
elements([], Close, Done, _Comma, Left) ->
    {[Done | Close], Left};
elements(_, Close, Done, Comma, Left) when Left =< 0 ->
    {[Done, Comma, "..." | Close], Left};
elements([Head | Tail], Close, Done, Comma, Left) ->
    {Chars, Left1} = write(Head, Left),
    elements(Tail, Close, [Done, Comma | Chars], ",", Left1 - 1);
elements(Improper, Close, Done, _Comma, Left) ->
    {Chars, Left1} = write(Improper, Left),
    {[Done, "|", Chars | Close], Left1}.

-spec pairs(none | {term(), term(), maps:iterator()}, io_lib:chars(), integer()) -> written().
pairs(none, Done, Left) ->
    {[Done | "}"], Left};
pairs(_, Done, Left) when Left =< 0 ->
    {[Done | "...}"], Left};
pairs({Key, Value, Iterator}, Done, Left) ->
    {KeyChars, Left1} = write(Key, Left),
    {ValueChars, Left2} = write(Value, Left1 - 4),
    Next = maps:next(Iterator),
    pairs(Next, [Done, KeyChars, " => ", ValueChars | [$, || Next =/= none]], Left2 - 1).

-spec binary(nonempty_binary(), integer()) -> written().
binary(Binary, Left) ->
    %% Four bytes a character at most, so this part is enough to fill the line.
    Part = binary:part(Binary, 0, min(byte_size(Binary), 4 * Left)),
    case unicode:characters_to_list(Part) of
        [_ | _] = Chars -> binary(Part, Chars, Left);
        {incomplete, [_ | _] = Chars, _} when byte_size(Part) < byte_size(Binary) -> binary(Part, Chars, Left);
        _ -> bytes(Part, Left)
    end.

-spec binary(binary(), string(), integer()) -> written().
binary(Part, Chars, Left) ->
    case {printable(Chars), lists:any(fun(C) -> C > 126 end, Chars)} of
        {true, false} -> text(Chars, "<<\"", "\">>", Left);
        {true, true} -> text(Chars, "<<\"", "\"/utf8>>", Left);
        {false, _} -> bytes(Part, Left)
    end.

-spec bytes(binary(), integer()) -> written().
bytes(Part, Left) ->
    elements("<<", binary_to_list(Part), ">>", Left).

-spec text(string(), string(), string(), integer()) -> written().
text(Chars, Open, Close, Left) ->
    {Shown, More} =
        case string:slice(Chars, Left) of
            [] -> {Chars, ""};
            _ -> {string:slice(Chars, 0, Left), "..."}
        end,
    %% write_string quotes and escapes, so a line feed stays on the line; its own quotes give way to ours.
    [$" | Quoted] = io_lib:write_string(Shown),
    {[Open, lists:droplast(Quoted), More | Close], Left - length(Quoted) - 1}.

-spec cut(io_lib:chars(), integer()) -> written().
cut(Chars, Left) ->
    Flat = lists:flatten(Chars),
    case length(Flat) of
        Length when Length =< Left -> {Flat, Left - Length};
        _ -> {[lists:sublist(Flat, Left) | "..."], 0}
    end.

-spec printable(maybe_improper_list()) -> boolean().
printable(List) ->
    io_lib:printable_unicode_list(List).
