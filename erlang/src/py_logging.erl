%% @doc Python's `logging' in Erlang's `logger': who is told from which level on. The messages come by the operation `log'.
-module(py_logging).

-export([configure/1, tell/1]).
-export_type([level/0, options/0]).

-type level() :: debug | info | warning | error | critical.
-type options() :: #{level => level(), format => unicode:chardata(), term() => term()}.

%% The application's environment outlives every process of it.
-define(KEY, python_logging).

%% @doc Has all hosts log from that level on, those too that start later.
-spec configure(options()) -> ok | {error, py_result:failure()}.
configure(Options) ->
    Setting = {number(maps:get(level, Options, debug)), format(maps:get(format, Options, none))},
    ok = application:set_env(erlang_python, ?KEY, Setting),
    tell_all(py_contexts:controls()).

%% @doc Called when a host is up, with its control channel. Does not wait for it.
-spec tell(pid()) -> ok.
tell(Control) ->
    case application:get_env(erlang_python, ?KEY) of
        {ok, _} -> _ = spawn(fun() -> tell_all([Control]) end), ok;
        undefined -> ok
    end.

-spec tell_all([pid()]) -> ok | {error, py_result:failure()}.
tell_all(Controls) ->
    {ok, {Level, Format}} = application:get_env(erlang_python, ?KEY),
    Answers = [py_result:result(py_control:logging(Control, Level, Format), safe) || Control <- Controls],
    case [Failure || {error, _} = Failure <- Answers] of
        [] -> ok;
        [Failure | _] -> Failure
    end.

%% As Python numbers them.
-spec number(level()) -> pos_integer().
number(debug) -> 10;
number(info) -> 20;
number(warning) -> 30;
number(error) -> 40;
number(critical) -> 50.

-spec format(none | unicode:chardata()) -> none | binary().
format(none) ->
    none;
format(Format) ->
    case unicode:characters_to_binary(Format) of
        Text when is_binary(Text) -> Text;
        _ -> error(badarg, [Format])
    end.
