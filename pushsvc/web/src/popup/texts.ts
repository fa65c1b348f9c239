// The built-in texts of pop-ups except the English ones, in the order of
// texts_english.ts: a file of its own, which only pages in these languages load.

export default {
  de: "Schließen|Senden|Vielen Dank!|Kopiert|Bitte geben Sie eine gültige E-Mail-Adresse ein.|Bitte füllen Sie dieses Feld aus.|Bitte wählen Sie eine Antwort.|Nachrichten|{n} ungelesen|Alle als gelesen markieren|Keine Nachrichten",
  fr: "Fermer|Envoyer|Merci !|Copié|Saisissez une adresse e-mail valide.|Remplissez ce champ.|Choisissez une réponse.|Messages|{n} non lus|Tout marquer comme lu|Aucun message",
  es: "Cerrar|Enviar|¡Gracias!|Copiado|Escriba una dirección de correo válida.|Rellene este campo.|Elija una respuesta.|Mensajes|{n} sin leer|Marcar todo como leído|No hay mensajes",
  pt: "Fechar|Enviar|Obrigado!|Copiado|Digite um e-mail válido.|Preencha este campo.|Escolha uma resposta.|Mensagens|{n} não lidas|Marcar tudo como lido|Nenhuma mensagem",
  it: "Chiudi|Invia|Grazie!|Copiato|Inserisci un indirizzo email valido.|Compila questo campo.|Scegli una risposta.|Messaggi|{n} da leggere|Segna tutto come letto|Nessun messaggio",
  nl: "Sluiten|Versturen|Bedankt!|Gekopieerd|Vul een geldig e-mailadres in.|Vul dit veld in.|Kies een antwoord.|Berichten|{n} ongelezen|Alles als gelezen markeren|Geen berichten",
  sv: "Stäng|Skicka|Tack!|Kopierat|Ange en giltig e-postadress.|Fyll i det här fältet.|Välj ett svar.|Meddelanden|{n} olästa|Markera alla som lästa|Inga meddelanden",
  pl: "Zamknij|Wyślij|Dziękujemy!|Skopiowano|Podaj poprawny adres e-mail.|Wypełnij to pole.|Wybierz odpowiedź.|Wiadomości|Nieprzeczytane: {n}|Oznacz wszystkie jako przeczytane|Brak wiadomości",
  cs: "Zavřít|Odeslat|Děkujeme!|Zkopírováno|Zadejte platnou e-mailovou adresu.|Vyplňte toto pole.|Vyberte odpověď.|Zprávy|Nepřečtené: {n}|Označit vše jako přečtené|Žádné zprávy",
  ru: "Закрыть|Отправить|Спасибо!|Скопировано|Введите действительный адрес эл. почты.|Заполните это поле.|Выберите ответ.|Сообщения|Непрочитанных: {n}|Отметить все как прочитанные|Нет сообщений",
  uk: "Закрити|Надіслати|Дякуємо!|Скопійовано|Введіть дійсну адресу ел. пошти.|Заповніть це поле.|Виберіть відповідь.|Повідомлення|Непрочитаних: {n}|Позначити всі як прочитані|Немає повідомлень",
  tr: "Kapat|Gönder|Teşekkürler!|Kopyalandı|Geçerli bir e-posta adresi girin.|Bu alanı doldurun.|Bir yanıt seçin.|Mesajlar|{n} okunmamış|Tümünü okundu işaretle|Mesaj yok",
  ar: "إغلاق|إرسال|شكرًا لك!|تم النسخ|أدخل عنوان بريد إلكتروني صالحًا.|املأ هذا الحقل.|اختر إجابة.|الرسائل|غير مقروءة: {n}|وضع علامة مقروء على الكل|لا توجد رسائل",
  he: "סגירה|שליחה|תודה!|הועתק|נא להזין כתובת אימייל תקינה.|נא למלא שדה זה.|נא לבחור תשובה.|הודעות|{n} שלא נקראו|סימון הכול כנקרא|אין הודעות",
  hi: "बंद करें|भेजें|धन्यवाद!|कॉपी हो गया|मान्य ईमेल पता लिखें।|यह फ़ील्ड भरें।|एक उत्तर चुनें।|संदेश|{n} अपठित|सभी को पढ़ा हुआ चिह्नित करें|कोई संदेश नहीं",
  id: "Tutup|Kirim|Terima kasih!|Disalin|Masukkan alamat email yang valid.|Isi kolom ini.|Pilih jawaban.|Pesan|{n} belum dibaca|Tandai semua telah dibaca|Tidak ada pesan",
  ja: "閉じる|送信|ありがとうございます|コピーしました|有効なメールアドレスを入力してください。|この項目を入力してください。|回答を選択してください。|メッセージ|未読 {n} 件|すべて既読にする|メッセージはありません",
  ko: "닫기|보내기|감사합니다!|복사됨|올바른 이메일 주소를 입력하세요.|이 항목을 입력하세요.|답변을 선택하세요.|메시지|읽지 않음 {n}개|모두 읽음으로 표시|메시지 없음",
  zh: "关闭|发送|谢谢！|已复制|请输入有效的电子邮件地址。|请填写此项。|请选择一个答案。|消息|{n} 条未读|全部标为已读|没有消息",
  "zh-Hant": "關閉|傳送|謝謝！|已複製|請輸入有效的電子郵件地址。|請填寫此欄位。|請選擇一個答案。|訊息|{n} 則未讀|全部標示為已讀|沒有訊息",
} as Record<string, string>;
