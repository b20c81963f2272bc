#include <gtk/gtk.h>
#include <webkit2/webkit2.h>

// All of these run on the thread of GTK; tocsin_soon brings a function there.
void tocsin_soon(uintptr_t call, int late);
int tocsin_install(void);
void tocsin_load(const char *uri);
void tocsin_zoom(double factor);
void tocsin_title(const char *title);
void tocsin_run(const char *script);
void tocsin_present(const char *token);
void tocsin_urgent(int on);
void tocsin_fullscreen(int on);
void tocsin_kiosk(int on);
void tocsin_min_size(int width, int height);
void tocsin_place(int x, int y, int width, int height, int maximised);
int tocsin_screens(GdkRectangle *areas, int most);
int tocsin_print(void);
void tocsin_pdf(const char *uri);
void tocsin_tell(const char *text, const char *folder, int bad);

// A menu bar is built aside and then put in the place of the old one.
void tocsin_menu_home(GtkWindow *w, GtkBox *b);
GtkWidget *tocsin_menu_new(void);
GtkWidget *tocsin_menu_sub(GtkWidget *shell, const char *label);
void tocsin_menu_item(GtkWidget *menu, const char *id, const char *label, const char *hint, unsigned key, unsigned mods, int checked, int enabled);
void tocsin_menu_separator(GtkWidget *menu);
int tocsin_menu_busy(void);
void tocsin_menu_put(GtkWidget *bar);
void tocsin_menu_show(int on);
